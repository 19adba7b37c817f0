internal import CRDKafka

/// The connection to a Kafka cluster, for all clients of a process.
public struct KafkaClientConfiguration: Sendable {
    /// `host:port`, several separated by commas.
    public var bootstrapServers: String
    /// The name of this process in the brokers' logs and quotas.
    public var clientID: String
    /// Further properties of librdkafka under their own names (`security.protocol`, `linger.ms`). They override the
    /// defaults of ``Producer`` and ``Consumer``. Properties that these set themselves are refused; see ``validate()``.
    public var properties: [String: String]
    /// The target of librdkafka's own log; none by default.
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

    /// Checks the configuration without a connection. It finds unknown properties, values that librdkafka refuses, and
    /// properties that the clients set themselves.
    ///
    /// - Returns: the problems in the order of the properties' names; empty if there are none.
    public func validate() -> [KafkaConfigurationProblem] {
        var problems: [KafkaConfigurationProblem] = []
        if bootstrapServers.isEmpty {
            problems.append(KafkaConfigurationProblem(property: "bootstrap.servers", message: "is empty"))
        }
        let scratch = ConfigurationBuilder()
        for (property, value) in properties.sorted(by: { $0.key < $1.key }) {
            if let reason = Self.ownedProperties[property] {
                problems.append(
                    KafkaConfigurationProblem(property: property, message: "cannot be set, because \(reason)"))
            } else if let problem = scratch.set(property, to: value) {
                problems.append(problem)
            } else if property == "isolation.level", value != "read_committed" {
                let message = "must be read_committed, because a record of an aborted transaction is not an event"
                problems.append(KafkaConfigurationProblem(property: property, message: message))
            } else if property == "partition.assignment.strategy", value.contains("sticky"), !Self.isStickySafe {
                let message =
                    "requires librdkafka 2.3 or later; older versions end the process when a group refuses a member"
                problems.append(KafkaConfigurationProblem(property: property, message: message))
            }
        }
        return problems
    }

    /// Whether the installed librdkafka can use `cooperative-sticky`. Versions before 2.3 assert that a member which
    /// joins again was the leader of the group before (librdkafka issue 4312).
    public static var isStickySafe: Bool { rd_kafka_version() >= 0x0203_0000 }

    /// Properties that the clients set themselves, each with the reason.
    private static let ownedProperties: [String: String] = {
        let idempotence = "a producer that is not idempotent may reorder or repeat records in a retry"
        let acks = "a record counts as published when all in-sync replicas have it"
        let commits = "the daemon commits offsets itself after it has applied the records"
        let reports = "the producer needs every delivery report"
        let bootstrap = "it has its own setting"
        return [
            "bootstrap.servers": bootstrap,
            "metadata.broker.list": bootstrap,
            "client.id": bootstrap,
            "group.id": "the consumer group's name consists of the service, the projection and its version",
            "group.instance.id": "it has its own setting, instance_id",
            "enable.auto.commit": commits,
            "enable.auto.offset.store": commits,
            "auto.commit.enable": commits,
            "auto.offset.reset": "an offset that is out of range is an error",
            "enable.idempotence": idempotence,
            "enable.gapless.guarantee": idempotence,
            "acks": acks,
            "request.required.acks": acks,
            "transactional.id": "the database's transaction covers the effects",
            "delivery.report.only.error": reports,
            "enable.partition.eof": "the daemon needs the event at the end of a partition",
            "enabled_events": "the clients select the events that they read",
            "opaque": "the clients use it",
            "partitioner":
                "the partition of a key must be the same as in Kafka's Java clients, to keep the order of its records",
            "partitioner_cb": "the partition of a key must be the same as in Kafka's Java clients",
            "produce.offset.report": reports,
        ]
    }()
}

/// A problem of a ``KafkaClientConfiguration``.
public struct KafkaConfigurationProblem: Hashable, Sendable, CustomStringConvertible {
    /// librdkafka's name of the property.
    public let property: String
    /// The problem. It contains no value of a secret property.
    public let message: String

    public var description: String { "\(property): \(message)" }
}
