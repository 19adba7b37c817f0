import EmbeddedKafka
import Operations
import TestKit
import Testing

@testable import Daemon

@Suite struct BrokerWatchTests {
    @Test func anOutageMakesNotReadyAndNeverDead() async throws {
        try await TestKafka.withPrivateCluster { cluster, kafka in
            let health = HealthRegistry()
            let watch = BrokerWatch(kafka: kafka, health: health, stallAfter: .seconds(60))
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await watch.run() }
                defer { tasks.cancelAll() }
                try await eventually { health.ready().checks.contains(.passing) }
                try cluster.setBrokerDown(1)
                try await eventually { health.ready().problems.contains { $0.hasPrefix("kafka: ") } }
                #expect(health.live().checks.map(\.name) == ["broker loop"])
                #expect(health.live().isGood)
                try cluster.setBrokerUp(1)
                try await eventually { health.ready().checks.contains(.passing) }
            }
        }
    }
}

extension HealthRegistry.Check {
    fileprivate static let passing = Self(name: BrokerWatch.condition, kind: .condition, reason: nil)
}
