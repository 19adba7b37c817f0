public import Kafka
public import Postgres

/// What is verified, and the limits.
public struct VerificationConfiguration: Sendable {
    /// The database with the outbox and, if the demo shop is used, with its tables `orders`, `order_items`, `payments`
    /// and `shipments`.
    public var writeModel: PostgresConfiguration
    /// The database with `projection_offsets`, `parked_events` and, if they are used, `order_summary` and
    /// `dashboard_*`. It may be the same one.
    public var readModel: PostgresConfiguration
    /// The outbox table, and the table of rows that could not be published.
    public var (outbox, failedOutbox) = ("outbox", "outbox_failed")
    /// The versions to verify, by projection. The read model's search path must begin with their schemas. The default
    /// is the live version.
    public var versions: [String: Int] = [:]
    /// The Kafka cluster; nil to compare only the tables, which is correct only while no events are in transit.
    public var kafka: KafkaClientConfiguration?
    /// The suffix of the topics' names. It must equal the relay's setting of the same name.
    public var topicSuffix = "-events"
    /// Why the topics do not contain all events of the orders; nil if they may.
    public var incompleteHistory: String?
    /// The maximum number of orders whose facts are in memory at once. If there are more orders, the topics are read
    /// several times, each time for one range of order ids. An order of eight events takes 1.7 kB.
    public var ordersInMemory = 200_000
    /// The maximum number of differences that are kept for each table or view. All differences are counted.
    public var exampleLimit = 10
    /// Maximum time without an answer from Kafka before the verification fails, in milliseconds.
    public var silenceTimeoutMs = 30_000

    public init(
        writeModel: PostgresConfiguration, readModel: PostgresConfiguration, kafka: KafkaClientConfiguration?
    ) {
        self.writeModel = writeModel
        self.readModel = readModel
        self.kafka = kafka
    }
}
