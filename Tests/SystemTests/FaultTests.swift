import EmbeddedKafka
import EmbeddedPostgres
import Glibc
import Migrations
import OrderShop
import Postgres
import TestKit
import Testing

/// Tests faults of the servers. The read model is exact after each of them.
@Suite struct FaultTests {
    @Test func twoProjectionsAndARebalanceUnderLoad() async throws {
        try await Pipeline.with { pipeline in
            let relay = try pipeline.relay()
            let first = try pipeline.projection()
            async let load: Void = pipeline.play(orders: 400, seed: 11)
            try await eventually {
                try await pipeline.number("SELECT count(*) FROM processed_events") > 0
            }
            let second = try pipeline.projection()
            try await second.waitForLog("assigned")
            try await load
            try await pipeline.expectEverythingArrives()
            // The remaining projection takes over the partitions of the one that stopped.
            try await first.stop()
            try await pipeline.play(orders: 20, seed: 12)
            try await pipeline.expectEverythingArrives()
            for daemon in [second, relay] { try await daemon.stop() }
        }
    }

    @Test func postgresRestartedInImmediateModeUnderLoad() async throws {
        try await TestDatabase.withPrivateServer(settings: ["max_connections": "50"], tcp: .freePort) {
            server, postgres in
            try await Migrator(postgres).up(Pipeline.sets)
            let suffix = "-" + TestKafka.uniqueName("events")
            try await TestKafka.withTopics(named: Pipeline.allTopics(suffix), partitions: Pipeline.partitions) {
                let pipeline = Pipeline(
                    postgres: postgres, kafka: try TestKafka.clientConfiguration(), topicSuffix: suffix)
                let relay = try pipeline.relay()
                let projection = try pipeline.projection()
                for seed in UInt64(1)...3 {
                    try await pipeline.play(orders: 60, seed: seed)
                    // The daemons are busy at this moment. The server rolls back their open transactions, or they do
                    // not learn the result.
                    try await server.restart(.immediate)
                }
                try await pipeline.expectEverythingArrives()
                for daemon in [projection, relay] { try await daemon.stop() }
            }
        }
    }

    @Test func produceErrorsAndABrokerThatGoesAway() async throws {
        try await TestDatabase.withSchema(migrating: Pipeline.sets) { postgres in
            try await TestKafka.withPrivateCluster { cluster, kafka in
                let suffix = "-" + TestKafka.uniqueName("events")
                for topic in Pipeline.allTopics(suffix) {
                    try cluster.createTopic(topic, partitions: Pipeline.partitions)
                }
                let pipeline = Pipeline(postgres: postgres, kafka: kafka, topicSuffix: suffix)
                let relay = try pipeline.relay()
                let projection = try pipeline.projection()
                async let load: Void = pipeline.play(orders: 200, seed: 3)
                // Request timed out; not the leader; not enough replicas, before and after the append.
                let transient: [Int32] = [7, 6, 19, 20]
                cluster.pushRequestErrors(.produce, (0..<8).map { transient[$0 % transient.count] })
                try await eventually {
                    try await pipeline.number("SELECT count(*) FROM processed_events") > 0
                }
                try cluster.setBrokerDown(1)
                try await load
                try cluster.setBrokerUp(1)
                try await pipeline.expectEverythingArrives()
                for daemon in [projection, relay] { try await daemon.stop() }
            }
        }
    }
}
