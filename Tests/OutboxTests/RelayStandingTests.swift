import EmbeddedKafka
import EmbeddedPostgres
import Kafka
import Migrations
import Outbox
import Postgres
import TestKit
import Testing

/// The state that the relay reports while it works and while it cannot work.
@Suite struct RelayStandingTests {
    /// A missing table is a configuration error at the start. Later it is a temporary error.
    @Test func aTableThatIsMissingForAWhileIsWaitedFor() async throws {
        try await RelayScene.run { scene in
            let told = Told()
            try await withRelay(quickConfiguration(), scene.postgres, scene.kafka, onProgress: { told.append($0) }) {
                try await scene.service.commit(scene.topic, "a", 1...3)
                try await scene.reader.readSequences(["a": 3])
                try await scene.service.connection.execute(script: "ALTER TABLE outbox RENAME TO elsewhere")
                try await eventually {
                    told.all.count { if case .away = $0.standing { true } else { false } } >= 3
                }
                try await scene.service.connection.execute(script: "ALTER TABLE elsewhere RENAME TO outbox")
                try await scene.service.commit(scene.topic, "a", 4...6)
                try await scene.reader.readSequences(["a": 6])
                try await eventually { told.all.last?.isActive == true }
            }
        }
    }

    @Test func anEmptyOutboxHasNoBacklogWhateverItsSequenceSays() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            let service = try await Service(postgres)
            try await service.commit("gone", "a", 1...500)
            try await service.connection.execute(script: "DELETE FROM outbox")
            let told = Told()
            let kafka = try TestKafka.clientConfiguration()
            try await withRelay(quickConfiguration(), postgres, kafka, onProgress: { told.append($0) }) {
                try await eventually { told.all.count { $0.isActive } >= 2 }
            }
            #expect(told.all.allSatisfy { $0.backlog == 0 }, "\(told.all)")
        }
    }

    @Test func theBacklogGrowsWhileABrokerIsAway() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            try await TestKafka.withPrivateCluster { cluster, kafka in
                try cluster.createTopic("away", partitions: 1)
                try cluster.setBrokerDown(1)
                var configuration = quickConfiguration()
                configuration.drainTimeoutMs = 100
                configuration.maxInFlightRows = 10
                configuration.pageRows = 20
                let service = try await Service(postgres)
                try await service.commit("away", "a", 1...30)
                let told = Told()
                try await withRelay(configuration, postgres, kafka, onProgress: { told.append($0) }) {
                    try await eventually { told.all.last.map { $0.inFlight >= 1 && $0.backlog > 0 } ?? false }
                    let before = try #require(told.all.last)
                    try await service.commit("away", "a", 31...130)
                    try await eventually { told.all.last.map { $0.backlog >= before.backlog + 100 } ?? false }
                }
            }
        }
    }

    @Test func aDatabaseThatGoesAwayIsTold() async throws {
        try await TestDatabase.withPrivateServer { server, postgres in
            try await Migrator(postgres).up(["outbox"])
            let told = Told()
            let kafka = try TestKafka.clientConfiguration()
            try await withRelay(quickConfiguration(), postgres, kafka, onProgress: { told.append($0) }) {
                try await eventually { told.all.last?.isActive == true }
                await server.stop(.immediate, keepingData: true)
                try await eventually { told.all.last?.isActive == false }
                try await server.start()
                try await eventually { told.all.last?.isActive == true }
            }
        }
    }
}
