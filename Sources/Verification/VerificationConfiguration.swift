public import Kafka
public import Postgres

/// What is verified, and within which limits.
public struct VerificationConfiguration: Sendable {
    /// Where `orders`, `order_items`, `payments`, `shipments`, `outbox` and `outbox_failed` are.
    public var writeModel: PostgresConfiguration
    /// Where `order_summary`, `dashboard_*`, `projection_offsets` and `parked_events` are; may be another database.
    public var readModel: PostgresConfiguration
    /// The versions to look at, by projection, whose schemas the read model's search path has first; the live version
    /// of those that are not named.
    public var versions: [String: Int] = [:]
    /// Where the topics are; nil to compare the tables alone, which is right only while no event is under way.
    public var kafka: KafkaClientConfiguration?
    /// Ends the name of each topic, as the relay's setting of that name.
    public var topicSuffix = "-events"
    /// Why the topics are known not to hold all events of the orders; nil where they may.
    public var incompleteHistory: String?
    /// How many orders' facts are kept in memory at once. With more orders than that the topics are read several times,
    /// each time for the orders of one range of ids. An order of eight events takes 1.7 kB.
    public var ordersInMemory = 200_000
    /// How many differences are kept of each table or view; all are counted.
    public var exampleLimit = 10
    /// How long Kafka may say nothing before reading is given up, in milliseconds.
    public var silenceTimeoutMs = 30_000

    public init(
        writeModel: PostgresConfiguration, readModel: PostgresConfiguration, kafka: KafkaClientConfiguration?
    ) {
        self.writeModel = writeModel
        self.readModel = readModel
        self.kafka = kafka
    }
}
