internal import CRDKafka

/// How to reach a Kafka cluster, for every client of a process.
public struct KafkaClientConfiguration: Sendable {
    /// `host:port`, several separated by commas.
    public var bootstrapServers: String
    /// How the brokers' logs and quotas name this process.
    public var clientID: String
    /// More properties of librdkafka by their own names (`security.protocol`, `linger.ms`), over the defaults of
    /// ``Producer`` and ``Consumer``. Those that these own are refused; see ``validate()``.
    public var properties: [String: String]
    /// Where librdkafka's own log goes; nowhere by default.
    public var log: KafkaLog

    public init(
        bootstrapServers: String, clientID: String = "millrace", properties: [String: String] = [:],
        log: @escaping KafkaLog = { _, _, _ in }
    ) {
        self.bootstrapServers = bootstrapServers
        self.clientID = clientID
        self.properties = properties
        self.log = log
    }

    /// All that is wrong with it, without a connection: properties that librdkafka does not know, values it refuses,
    /// and properties that belong to the clients.
    ///
    /// - Returns: the problems in the order of the properties' names; empty when there are none.
    public func validate() -> [KafkaConfigurationProblem] {
        var problems: [KafkaConfigurationProblem] = []
        if bootstrapServers.isEmpty {
            problems.append(KafkaConfigurationProblem(property: "bootstrap.servers", message: "is empty"))
        }
        let scratch = ConfigurationBuilder()
        for (property, value) in properties.sorted(by: { $0.key < $1.key }) {
            if let reason = Self.ownedProperties[property] {
                problems.append(KafkaConfigurationProblem(property: property, message: "cannot be set: \(reason)"))
            } else if let problem = scratch.set(property, to: value) {
                problems.append(problem)
            } else if property == "isolation.level", value != "read_committed" {
                let message = "can only be read_committed: a record of an aborted transaction is no event"
                problems.append(KafkaConfigurationProblem(property: property, message: message))
            } else if property == "partition.assignment.strategy", value.contains("sticky"), !Self.isStickySafe {
                let message = "needs librdkafka 2.3 or later; older ones end the process when a group refuses a member"
                problems.append(KafkaConfigurationProblem(property: property, message: message))
            }
        }
        return problems
    }

    /// Whether the installed librdkafka can use `cooperative-sticky`. Before 2.3 it asserts that a member which joins
    /// again was the group's leader before (librdkafka issue 4312).
    public static var isStickySafe: Bool { rd_kafka_version() >= 0x0203_0000 }

    /// Properties that the clients set themselves, and why nobody else may.
    private static let ownedProperties: [String: String] = {
        let idempotence = "the producer is always idempotent, or a retry could reorder or repeat records"
        let acks = "a record counts as published once all in-sync replicas have it"
        let commits = "offsets are committed by the consumer's owner, after its work is done"
        let reports = "the producer needs every delivery report"
        let bootstrap = "it has a setting of its own"
        return [
            "bootstrap.servers": bootstrap,
            "metadata.broker.list": bootstrap,
            "client.id": bootstrap,
            "group.id": "the consumer group is named after the service, the projection and its version",
            "group.instance.id": "it has a setting of its own, instance_id",
            "enable.auto.commit": commits,
            "enable.auto.offset.store": commits,
            "auto.commit.enable": commits,
            "auto.offset.reset": "an offset that is out of range is an error, never skipped silently",
            "enable.idempotence": idempotence,
            "enable.gapless.guarantee": idempotence,
            "acks": acks,
            "request.required.acks": acks,
            "transactional.id": "the effects' transaction is the database's",
            "delivery.report.only.error": reports,
            "enable.partition.eof": "a partition's end is what tells that all of it was read",
            "enabled_events": "the clients choose the events they read",
            "opaque": "the clients use it",
            "partitioner": "keys go to partitions as with Kafka's Java clients, or a key's records lose their order",
            "partitioner_cb": "keys go to partitions as with Kafka's Java clients",
            "produce.offset.report": reports,
        ]
    }()
}

/// One thing that is wrong with a ``KafkaClientConfiguration``.
public struct KafkaConfigurationProblem: Hashable, Sendable, CustomStringConvertible {
    /// librdkafka's name of the property.
    public let property: String
    /// What is wrong with it; holds no value of a secret property.
    public let message: String

    public var description: String { "\(property): \(message)" }
}
