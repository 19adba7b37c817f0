import Kafka
import Logging
import Operations
import Postgres
import Projections
import StreamCore
import Testing

@testable import Daemon
@testable import ProjectionPrograms

/// Tests how a projection's reports change the health of its daemon.
@Suite struct ProjectionHealthTests {
    private let registry = HealthRegistry()
    private let context: DaemonContext
    private let health: ProjectionHealth

    init() throws {
        context = DaemonContext(
            postgres: try PostgresConfiguration(url: "postgresql://localhost/none"),
            kafka: KafkaClientConfiguration(bootstrapServers: "127.0.0.1:9"), health: registry,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, stallAfter: .seconds(60), started: {},
            files: ReloadedFiles())
        health = ProjectionHealth(context, projection: "orders")
    }

    /// A rolling upgrade waits until a process is ready before it stops the next one.
    @Test func itIsReadyWhileItHasAnAssignment() {
        let missing = "partitions of orders: the consumer group has not assigned partitions yet"
        #expect(registry.ready().problems == [missing])
        health.assignmentBegan()
        #expect(registry.ready().isGood)
        health.assignmentEnded()
        #expect(registry.ready().problems.map { $0.split(separator: ":").first } == ["partitions of orders"])
        #expect(registry.live().isGood)
    }

    /// A daemon with a paused consumer has no running loop, and must not be restarted because of that.
    @Test func nothingIsLeftOfARunnerThatHasEnded() {
        let partition = TopicPartition(topic: "orders", partition: 1)
        health.loopTurned()
        health.partition(partition, isAt: 3, of: 9)
        health.databaseFailing(because: "connection refused")
        #expect(registry.live().checks.map(\.name) == ["projection loop of orders"])
        #expect(
            registry.ready().checks.map(\.name) == [
                "database of orders", "partitions of orders", "\(partition) of orders",
            ])
        health.ended()
        #expect(registry.live().checks.isEmpty)
        #expect(registry.ready().checks.isEmpty)
    }

    /// Two projections of one daemon read the same topic. The progress of one must not hide that the other makes none.
    @Test func projectionsOfOneTopicAreToldApart() throws {
        let partition = TopicPartition(topic: "orders", partition: 1)
        let other = ProjectionHealth(context, projection: "totals")
        for health in [health, other] {
            health.assignmentBegan()
            health.partition(partition, isAt: 3, of: 9)
            health.partition(partition, isHeldBy: .circuitBreaker, because: "too many events failed")
        }
        let names = registry.ready().checks.map(\.name)
        for name in ["orders", "totals"] {
            #expect(names.count { $0 == "\(partition) of \(name)" } == 1, "\(names)")
            #expect(names.contains("\(partition) of \(name) \(PartitionHold.circuitBreaker.rawValue)"), "\(names)")
        }
        other.partitionReleased(partition)
        let left = registry.ready().checks.map(\.name)
        #expect(left.contains("\(partition) of orders") && !left.contains("\(partition) of totals"), "\(left)")
        #expect(registry.ready().problems.count == 1)
    }
}
