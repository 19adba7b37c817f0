import EmbeddedKafka
import EmbeddedPostgres
import Foundation
import Kafka
import Outbox
import Postgres
import StreamCore
import TestKit
import Testing

@Suite struct RelayTests {
    @Test func concurrentWritersArePublishedInOrderAndRemoved() async throws {
        try await RelayScene.run(partitions: 4) { scene in
            let counts = try await scene.withRelay(quickConfiguration()) {
                let counts = try await write(to: scene.topic, scene.postgres, writers: 4, transactions: 60)
                try await scene.reader.readSequences(counts)
                try await eventually { try await scene.service.count() == 0 }
                return counts
            }
            #expect(await scene.reader.records.count == counts.values.reduce(0) { $0 + Int($1) }, "nothing twice")
        }
    }

    @Test func recordCarriesEnvelopeKeyAndHeaders() async throws {
        try await RelayScene.run(topics: 2) { scene in
            var configuration = quickConfiguration()
            configuration.topicSuffix = String(scene.topic.suffix(5))
            let aggregateType = scene.topic.dropLast(5).uppercased()
            try await scene.service.connection.execute(
                script: """
                    INSERT INTO outbox (event_id, event_type, aggregate_type, aggregate_id, sequence, occurred_at,
                        version, correlation_id, causation_id, metadata, payload, headers, topic, key)
                    VALUES ('01890a5d-ac96-774b-bcce-b302099a8057', 'OrderCreated', '\(aggregateType)', 'o"1', 1,
                        '2026-03-01T12:34:56.5Z', 2, 'c-1', 'e-0', '{"source": "shop"}', '{ "total": 1.50 }',
                        '{"traceparent": "00-ab-cd-01", "event-id": "forged", "n": 7, "nothing": null}',
                        NULL, NULL),
                    ('01890a5d-ac96-774b-bcce-b302099a8058', 'OrderCreated', '\(aggregateType)', 'o-2', 1,
                        '2026-03-01T12:34:56.5Z', 1, NULL, NULL, NULL, '[]', NULL, '\(scene.topics[1])', 'k-2')
                    """)
            try await scene.withRelay(configuration) {
                try await eventually {
                    try await scene.reader.poll()
                    return await scene.reader.records.count == 2
                }
            }
            let records = await scene.reader.records.sorted { $0.key > $1.key }
            #expect(
                records[0].value == #"{"eventId":"01890a5d-ac96-774b-bcce-b302099a8057","#
                    + #""eventType":"OrderCreated","aggregateId":"o\"1","aggregateType":"\#(aggregateType)","#
                    + #""sequence":1,"timestamp":"2026-03-01T12:34:56.500000Z","version":2,"correlationId":"c-1","#
                    + #""causationId":"e-0","metadata":{"source": "shop"},"payload":{ "total": 1.50 }}"#)
            #expect(records[0].key == #"o"1"#)
            #expect(
                records[0].headers == [
                    "event-id": "01890a5d-ac96-774b-bcce-b302099a8057", "event-type": "OrderCreated",
                    "event-version": "2", "correlation-id": "c-1", "content-type": "application/json",
                    "traceparent": "00-ab-cd-01", "n": "7", "nothing": "NULL",
                ])
            #expect(records[1].key == "k-2")
            #expect(records[1].headers["correlation-id"] == nil)
            #expect(records[1].value?.hasSuffix(#""metadata":null,"payload":[]}"#) == true)
        }
    }

    @Test func rowThatIsCommittedLateIsPublished() async throws {
        try await RelayScene.run { scene in
            let late = try await Service(scene.postgres)
            let other = try await Service(scene.postgres)
            try await scene.withRelay(quickConfiguration()) {
                try await late.connection.withTransaction { transaction in
                    try await transaction.execute(Service.insert, Service.parameters(scene.topic, "late", 1...1))
                    for number in Int64(1)...5 {
                        try await other.commit(scene.topic, "other", number...number)
                        try await scene.reader.readSequences(["other": number])
                    }
                }
                try await other.commit(scene.topic, "late", 2...2)
                try await scene.reader.readSequences(["late": 2, "other": 5])
                try await eventually { try await other.count() == 0 }
            }
        }
    }

    @Test func rolledBackRowsHoldNothingUp() async throws {
        struct Undo: Error {}
        try await RelayScene.run { scene in
            try await scene.withRelay(quickConfiguration()) {
                for number in Int64(1)...20 {
                    try? await scene.service.connection.withTransaction { transaction in
                        try await transaction.execute(Service.insert, Service.parameters(scene.topic, "no", 1...3))
                        throw Undo()
                    }
                    try await scene.service.commit(scene.topic, "yes", number...number)
                }
                try await scene.reader.readSequences(["yes": 20])
            }
            #expect(await scene.reader.firstOccurrences["no"] == nil)
        }
    }

    @Test func keepRetentionMarksRows() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox", "outbox-keep"]) { postgres in
            try await TestKafka.withTopics { topics in
                let kafka = try TestKafka.clientConfiguration()
                var configuration = quickConfiguration()
                configuration.retention = .keep
                let reader = try await Reader(kafka, topics, partitions: 1)
                let service = try await Service(postgres)
                try await service.commit(topics[0], "a", 1...100)
                for _ in 0..<2 {
                    try await withRelay(configuration, postgres, kafka) {
                        try await reader.readSequences(["a": 100])
                        try await eventually { try await service.count("published_at IS NULL") == 0 }
                    }
                }
                try await reader.poll()
                #expect(await reader.records.count == 100, "a restart publishes nothing again")
                #expect(try await service.count() == 100)
                await reader.close()
            }
        }
    }

    @Test func shardsPublishAllBetweenThem() async throws {
        try await RelayScene.run(partitions: 2) { scene in
            var configuration = quickConfiguration()
            configuration.shards = 3
            try await scene.withRelay(configuration) {
                let counts = try await write(to: scene.topic, scene.postgres, writers: 3, transactions: 30)
                try await scene.reader.readSequences(counts)
                try await eventually { try await scene.service.count() == 0 }
                #expect(await scene.reader.records.count == counts.values.reduce(0) { $0 + Int($1) })
            }
        }
    }

    @Test func notificationEndsTheWait() async throws {
        try await RelayScene.run { scene in
            var configuration = quickConfiguration()
            configuration.idlePollMs = 60_000
            configuration.notifyChannel = "outbox_\(scene.postgres.schema)"
            try await scene.withRelay(configuration) {
                var number: Int64 = 0
                // The relay begins to listen some time after its start, so this loop notifies until the relay has
                // received a notification.
                try await eventually {
                    number += 1
                    try await scene.service.commit(scene.topic, "a", number...number)
                    try await scene.service.connection.execute(script: "NOTIFY outbox_\(scene.postgres.schema)")
                    try await scene.reader.poll()
                    return await scene.reader.records.count > 5
                }
            }
        }
    }

    /// A notification is only a hint. The relay polls if it loses the listening session or receives no notification.
    @Test func lostNotificationsAreMadeUpFor() async throws {
        try await RelayScene.run { scene in
            var configuration = quickConfiguration()
            configuration.notifyChannel = "outbox_\(scene.postgres.schema)"
            let listeners = """
                FROM pg_stat_activity
                WHERE query LIKE 'LISTEN%outbox_\(scene.postgres.schema)%' AND pid <> pg_backend_pid()
                """
            try await scene.withRelay(configuration) {
                try await eventually {
                    try await scene.service.connection.execute(.unprepared("SELECT count(*) \(listeners)"))
                        .int64(0, 0) == 1
                }
                try await scene.service.commit(scene.topic, "a", 1...2)
                try await scene.reader.readSequences(["a": 2])
                let ended = try await scene.service.connection.execute(
                    .unprepared("SELECT pg_terminate_backend(pid) \(listeners)"))
                #expect(ended.rowCount == 1)
                try await scene.service.commit(scene.topic, "a", 3...4)
                try await scene.reader.readSequences(["a": 4])
                try await eventually {
                    try await scene.service.connection.execute(.unprepared("SELECT count(*) \(listeners)"))
                        .int64(0, 0) == 1
                }
            }
        }
    }

    @Test func sweepFindsRowsWhoseIDsCameFromElsewhere() async throws {
        try await RelayScene.run { scene in
            var configuration = quickConfiguration()
            configuration.sweepIntervalMs = 100
            try await scene.service.connection.execute(script: "ALTER TABLE outbox ALTER id RESTART WITH 1000")
            try await scene.withRelay(configuration) {
                try await scene.service.commit(scene.topic, "a", 1...3)
                try await scene.reader.readSequences(["a": 3])
                try await eventually { try await scene.service.count() == 0 }
                try await scene.service.connection.execute(
                    script: """
                        INSERT INTO outbox (id, event_type, aggregate_type, aggregate_id, sequence, payload)
                        VALUES (7, 'Tested', '\(scene.topic)', 'b', 1, '{}')
                        """)
                try await scene.reader.readSequences(["a": 3, "b": 1])
            }
        }
    }

    @Test func progressIsToldWhileABrokerIsAway() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            try await TestKafka.withPrivateCluster { cluster, kafka in
                try cluster.createTopic("away", partitions: 1)
                try cluster.setBrokerDown(1)
                var configuration = quickConfiguration()
                configuration.drainTimeoutMs = 100
                let service = try await Service(postgres)
                try await service.commit("away", "a", 1...10)
                let told = Told()
                try await withRelay(configuration, postgres, kafka, onProgress: { told.append($0) }) {
                    try await eventually { told.all.count >= 3 }
                }
                #expect(told.all.contains { $0.isActive && $0.inFlight > 0 })
                #expect(try await service.count() == 10, "no row is removed before Kafka acknowledges it")
            }
        }
    }

    @Test func missingTableIsAnErrorAtOnce() async throws {
        try await TestDatabase.withSchema { postgres in
            let relay = OutboxRelay(
                configuration: quickConfiguration(), postgres: postgres, kafka: try TestKafka.clientConfiguration(),
                logger: testLogger)
            let error = try await #require(throws: OutboxRelayError.self) { try await relay.run() }
            #expect(error.code == .database)
            #expect(error.description.contains("outbox"))
        }
    }

    @Test func wrongTableNamesTheColumnsThatItLacks() async throws {
        try await TestDatabase.withSchema { postgres in
            let service = try await Service(postgres)
            try await service.connection.execute(script: "CREATE TABLE outbox (id bigint, payload json)")
            let relay = OutboxRelay(
                configuration: quickConfiguration(), postgres: postgres, kafka: try TestKafka.clientConfiguration(),
                logger: testLogger)
            let error = try await #require(throws: OutboxRelayError.self) { try await relay.run() }
            #expect(error.description.contains("event_id, event_type"))
        }
    }

    @Test func allProblemsOfAConfigurationAreTold() async throws {
        var configuration = OutboxRelayConfiguration()
        #expect(configuration.validate() == [])
        configuration.shards = 0
        configuration.idlePollMs = 0
        configuration.topicSuffix = " "
        #expect(configuration.validate().count == 3)
    }
}

/// Writes events in transactions of one to three events. Each key has one writer. Some transactions are rolled back.
///
/// - Returns: the number of committed events of each key.
func write(
    to topic: String, _ postgres: PostgresConfiguration, writers: Int, transactions: Int
) async throws -> [String: Int64] {
    try await withThrowingTaskGroup { group in
        for writer in 0..<writers {
            group.addTask {
                let service = try await Service(postgres)
                var random = SplitMix64(seed: UInt64(writer))
                var counts: [String: Int64] = [:]
                for _ in 0..<transactions {
                    let key = "w\(writer)-k\(Int.random(in: 0..<5, using: &random))"
                    let count = Int64.random(in: 1...3, using: &random)
                    let next = counts[key, default: 0] + 1
                    try await service.commit(topic, key, next...next + count - 1)
                    counts[key] = next + count - 1
                }
                await service.connection.close()
                return counts
            }
        }
        return try await group.reduce(into: [:]) { $0.merge($1) { $1 } }
    }
}
