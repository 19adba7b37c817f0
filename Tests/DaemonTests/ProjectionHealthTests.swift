import Kafka
import Logging
import Operations
import Postgres
import Projections
import StreamCore
import Testing

@testable import Daemon
@testable import ProjectionPrograms

/// What a projection's reports make of a daemon's health.
@Suite struct ProjectionHealthTests {
    private let registry = HealthRegistry()
    private let health: ProjectionHealth

    init() throws {
        let context = DaemonContext(
            postgres: try PostgresConfiguration(url: "postgresql://localhost/none"),
            kafka: KafkaClientConfiguration(bootstrapServers: "127.0.0.1:9"), health: registry,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, stallAfter: .seconds(60), started: {},
            files: ReloadedFiles())
        health = ProjectionHealth(context, projection: "orders")
    }

    /// A rolling upgrade waits for this before it stops the next process.
    @Test func itIsReadyWhileItHasAnAssignment() {
        let missing = "partitions of orders: the consumer group has not assigned partitions yet"
        #expect(registry.ready().problems == [missing])
        health.assignmentBegan()
        #expect(registry.ready().isGood)
        health.assignmentEnded()
        #expect(registry.ready().problems.map { $0.split(separator: ":").first } == ["partitions of orders"])
        #expect(registry.live().isGood)
    }

    /// A daemon whose consumer is paused has no loop that could turn, and must not be restarted for it.
    @Test func nothingIsLeftOfARunnerThatHasEnded() {
        let partition = TopicPartition(topic: "orders", partition: 1)
        health.loopTurned()
        health.partition(partition, isAt: 3, of: 9)
        health.databaseFailing(because: "connection refused")
        #expect(registry.live().checks.map(\.name) == ["projection loop of orders"])
        #expect(registry.ready().checks.map(\.name) == ["database of orders", "partitions of orders", "\(partition)"])
        health.ended()
        #expect(registry.live().checks.isEmpty)
        #expect(registry.ready().checks.isEmpty)
    }
}
