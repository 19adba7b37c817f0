import EmbeddedKafka
import EmbeddedPostgres
import Kafka
import Migrations
import Outbox
import Postgres
import StreamCore
import Synchronization
import TestKit
import Testing

@Suite struct RelayFaultTests {
    // MARK: rows

    @Test func rowThatIsTooLargeIsSetAsideAndItsKeyWaits() async throws {
        try await RelayScene.run { scene in
            let large = "\"" + String(repeating: "x", count: 1_200_000) + "\""
            try await scene.service.commit(scene.topic, "a", 1...1)
            try await scene.service.commit(scene.topic, "a", 2...2, payload: large)
            try await scene.service.commit(scene.topic, "a", 3...4)
            try await scene.service.commit(scene.topic, "b", 1...3)
            let failures = OutboxFailures()
            try await scene.withRelay(quickConfiguration()) {
                try await scene.reader.readSequences(["a": 1, "b": 3])
                try await eventually { try await scene.service.count(in: "outbox_failed") == 1 }
                try await eventually { try await scene.service.count() == 2 }
                let row = try #require(try await failures.list(on: scene.service.connection).first)
                #expect(row.errorClass == "msg_size_too_large")
                try await failures.retry(row.id, on: scene.service.connection)
                try await eventually { try await scene.service.count(in: "outbox_failed") == 1 }
                #expect(await scene.reader.firstOccurrences["a"] == [1], "still too large")

                try await scene.service.connection.execute(script: "UPDATE outbox_failed SET payload = '{}'")
                try await failures.retry(row.id, on: scene.service.connection)
                try await scene.reader.readSequences(["a": 4])
            }
        }
    }

    @Test func discardedRowLetsItsKeyGoOn() async throws {
        try await RelayScene.run { scene in
            try await scene.service.commit(scene.topic, "a", 1...3)
            try await scene.service.connection.execute(script: "UPDATE outbox SET headers = '[]' WHERE sequence = 2")
            let failures = OutboxFailures()
            // The relay knows the blocked keys again after a restart.
            for _ in 0..<2 {
                try await scene.withRelay(quickConfiguration()) {
                    try await scene.reader.readSequences(["a": 1])
                    try await eventually { try await scene.service.count(in: "outbox_failed") == 1 }
                }
                #expect(try await scene.service.count() == 1)
            }
            let row = try #require(try await failures.list(on: scene.service.connection).first)
            #expect(row.errorClass == "invalid_headers")
            try await scene.withRelay(quickConfiguration()) {
                let discarded = try await failures.change(
                    .discard, .init(ids: [row.id]), by: .init(actor: "mara", reason: "test"),
                    on: scene.service.connection)
                #expect(discarded == [row.id])
                try await eventually {
                    try await scene.reader.poll()
                    return await scene.reader.firstOccurrences["a"] == [1, 3]
                }
            }
            #expect(try await failures.list(on: scene.service.connection).isEmpty)
            var all = OutboxFailures.Filter()
            all.includesDiscarded = true
            let discard = try #require(try await failures.list(all, on: scene.service.connection).first?.discarded)
            #expect(discard.actor == "mara" && discard.reason == "test" && discard.at != nil)
        }
    }

    // MARK: Kafka

    @Test func injectedProduceErrorsLoseAndReorderNothing() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            try await TestKafka.withPrivateCluster { cluster, kafka in
                try cluster.createTopic("faulty", partitions: 2)
                let reader = try await Reader(kafka, ["faulty"], partitions: 2)
                // The producer retries NOT_LEADER_FOR_PARTITION (6), REQUEST_TIMED_OUT (7) and NOT_ENOUGH_REPLICAS
                // (19).
                // INVALID_RECORD (87) is a permanent refusal, but each record is accepted when it is sent alone.
                // CLUSTER_AUTHORIZATION_FAILED (31) is not caused by a record.
                // A second 31 follows each 87 and 31, because the producer may have prepared one more request. A broker
                // refuses that request by its sequence, but the mock cluster would accept it.
                let service = try await Service(postgres)
                try await withRelay(quickConfiguration(), postgres, withFaults(kafka)) {
                    var last: Int64 = 0
                    for codes: [Int32] in [
                        [6, 0, 7, 19], [87, 31], [31, 31], [0, 31, 31, 6, 7], [7, 6, 31, 31],
                    ] {
                        cluster.pushRequestErrors(.produce, codes)
                        for _ in 0..<10 {
                            for key in ["a", "b", "c"] { try await service.commit("faulty", key, last + 1...last + 2) }
                            last += 2
                        }
                        try await reader.readSequences(["a": last, "b": last, "c": last])
                    }
                    try await eventually { try await service.count() == 0 }
                    #expect(try await service.count(in: "outbox_failed") == 0, "no record caused an error")
                }
                await reader.close()
            }
        }
    }

    @Test func recordThatTheBrokerRefusesIsFoundAmongItsBatch() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            try await TestKafka.withPrivateCluster { cluster, kafka in
                try cluster.createTopic("picky", partitions: 1)
                let service = try await Service(postgres)
                try await service.commit("picky", "open", 1...1)
                let reader = try await Reader(kafka, ["picky"], partitions: 1)
                // The linger time is long enough to collect the rows of a transaction in one batch, even on a busy
                // machine.
                var patient = withFaults(kafka)
                patient.properties["linger.ms"] = "200"
                try await withRelay(quickConfiguration(), postgres, patient) {
                    try await reader.readSequences(["open": 1])
                    // The cluster refuses the batch, and then its first row, which is sent alone.
                    cluster.pushRequestErrors(.produce, [87, 87])
                    try await service.commit("picky", "a", 1...10)
                    try await eventually { try await service.count(in: "outbox_failed") == 1 }
                    let row = try #require(try await OutboxFailures().list(on: service.connection).first)
                    #expect(row.errorClass == "invalid_record")
                    #expect(try await service.count() == 9)
                    try await OutboxFailures().retry(row.id, on: service.connection)
                    try await reader.readSequences(["a": 10])
                }
                await reader.close()
            }
        }
    }

    @Test func topicThatRefusesIsHeldAndOthersGoOn() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            try await TestKafka.withPrivateCluster { cluster, kafka in
                try cluster.createTopic("closed", partitions: 1)
                try cluster.createTopic("open", partitions: 1)
                let service = try await Service(postgres)
                cluster.pushRequestErrors(.produce, [Int32](repeating: 29, count: 9))  // TOPIC_AUTHORIZATION_FAILED
                try await service.commit("closed", "a", 1...5)
                let reader = try await Reader(kafka, ["closed", "open"], partitions: 1)
                let told = Told()
                try await withRelay(
                    quickConfiguration(), postgres, withFaults(kafka), onProgress: { told.append($0) }
                ) {
                    try await eventually { told.all.last?.heldTopics == 1 }
                    cluster.clearRequestErrors(.produce)
                    try await service.commit("open", "b", 1...5)
                    try await service.commit("closed", "a", 6...10)
                    try await reader.readSequences(["b": 5])
                    try await reader.readSequences(["a": 10, "b": 5])
                    try await eventually { try await service.count() == 0 }
                    #expect(try await service.count(in: "outbox_failed") == 0)
                }
                await reader.close()
            }
        }
    }

    @Test func brokerThatIsAwayIsWaitedFor() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            try await TestKafka.withPrivateCluster { cluster, kafka in
                try cluster.createTopic("away", partitions: 2)
                let reader = try await Reader(kafka, ["away"], partitions: 2)
                try await withRelay(quickConfiguration(), postgres, withFaults(kafka)) {
                    let before = try await write(to: "away", postgres, writers: 1, transactions: 10)
                    try await reader.readSequences(before)
                    try cluster.setBrokerDown(1)
                    let service = try await Service(postgres)
                    try await service.commit("away", "a", 1...500)
                    try await service.commit("away", "b", 1...500)
                    #expect(try await service.count() >= 1_000)
                    try cluster.setBrokerUp(1)
                    try await reader.readSequences(["a": 500, "b": 500])
                    try await eventually { try await service.count() == 0 }
                }
                await reader.close()
            }
        }
    }

    /// The relay sends more rows after the limit was raised, even while it waits for acknowledgements.
    @Test func theLimitOfRowsInFlightMayChange() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            try await TestKafka.withPrivateCluster { cluster, kafka in
                try cluster.createTopic("limited", partitions: 1)
                let reader = try await Reader(kafka, ["limited"], partitions: 1)
                var limits = RelayLimits(quickConfiguration())
                limits.maxInFlightRows = 8
                let live = Live(limits)
                let inFlight = Mutex(0)
                try await withRelay(
                    quickConfiguration(), postgres, withFaults(kafka), limits: live,
                    onProgress: { progress in inFlight.withLock { $0 = progress.inFlight } }
                ) {
                    let service = try await Service(postgres)
                    try await service.commit("limited", "a", 1...5)
                    try await reader.readSequences(["a": 5])
                    try cluster.setBrokerDown(1)
                    try await service.commit("limited", "a", 6...100)
                    try await eventually { inFlight.withLock { $0 } == 8 }
                    limits.maxInFlightRows = 40
                    live.set(limits)
                    try await eventually { inFlight.withLock { $0 } == 40 }
                    try cluster.setBrokerUp(1)
                    try await reader.readSequences(["a": 100])
                    try await eventually { try await service.count() == 0 }
                }
                await reader.close()
            }
        }
    }

    // MARK: PostgreSQL and leadership

    @Test func crashBetweenAcknowledgementAndRemovalRepeatsButLosesNothing() async throws {
        try await RelayScene.run { scene in
            try await scene.service.commit(scene.topic, "a", 1...20)
            let blocker = try await Service(scene.postgres)
            try await scene.withRelay(quickConfiguration()) {
                try await blocker.connection.withTransaction { transaction in
                    // The removal waits for this transaction. Reading does not wait.
                    try await transaction.execute(.unprepared("SELECT FROM outbox FOR UPDATE"))
                    try await scene.reader.readSequences(["a": 20])
                    #expect(try await scene.service.count() == 20)
                    try await scene.service.terminateLeader(in: scene.postgres)
                }
                try await eventually { try await scene.service.count() == 0 }
                try await scene.service.commit(scene.topic, "a", 21...40)
                try await scene.reader.readSequences(["a": 40])
            }
            #expect(await scene.reader.records.count >= 60, "the rows are published again")
        }
    }

    @Test func standbyTakesOverWhenTheLockIsLost() async throws {
        try await RelayScene.run(partitions: 3) { scene in
            // Two relays run. The leading one loses its session repeatedly while events are written.
            try await scene.withRelay(quickConfiguration()) {
                try await scene.withRelay(quickConfiguration()) {
                    for round in 0..<5 {
                        let before = await scene.reader.records.count
                        async let written: Void = commitSixty("round-\(round)", to: scene.topic, scene.postgres)
                        try await eventually {
                            try await scene.reader.poll()
                            return await scene.reader.records.count > before
                        }
                        try await scene.service.terminateLeader(in: scene.postgres)
                        try await written
                    }
                    try await scene.reader.readSequences(
                        Dictionary(uniqueKeysWithValues: (0..<5).map { ("round-\($0)", 60) }))
                    try await eventually { try await scene.service.count() == 0 }
                }
            }
        }
    }

    /// Commits 60 events of a key in transactions of three events each.
    private func commitSixty(_ key: String, to topic: String, _ postgres: PostgresConfiguration) async throws {
        let service = try await Service(postgres)
        for first in stride(from: Int64(1), through: 60, by: 3) {
            try await service.commit(topic, key, first...first + 2)
        }
        await service.connection.close()
    }

    @Test func lossOfTheReaderIsOvercome() async throws {
        try await RelayScene.run { scene in
            try await scene.withRelay(quickConfiguration()) {
                try await scene.service.commit(scene.topic, "a", 1...5)
                try await scene.reader.readSequences(["a": 5])
                try await scene.service.terminateAll(in: scene.postgres)
                try await scene.service.commit(scene.topic, "a", 6...10)
                try await scene.reader.readSequences(["a": 10])
            }
        }
    }

    @Test func immediateRestartOfTheServerUnderLoadLosesNothing() async throws {
        try await TestDatabase.withPrivateServer { server, postgres in
            try await Migrator(postgres).up(["outbox"])
            try await TestKafka.withTopics(partitions: 2) { topics in
                let kafka = try TestKafka.clientConfiguration()
                let reader = try await Reader(kafka, topics, partitions: 2)
                try await withRelay(quickConfiguration(), postgres, kafka) {
                    var sequence: Int64 = 0
                    for _ in 0..<3 {
                        let service = try await Service(postgres)
                        for _ in 0..<20 {
                            try await service.commit(topics[0], "a", sequence + 1...sequence + 50)
                            sequence += 50
                        }
                        // The checkpoint writes all committed rows to disk.
                        try await service.connection.execute(script: "CHECKPOINT")
                        try await server.restart(.immediate)
                    }
                    try await reader.readSequences(["a": sequence])
                    let service = try await Service(postgres)
                    try await eventually { try await service.count() == 0 }
                }
                await reader.close()
            }
        }
    }

    @Test func stopWaitsForAcknowledgementsAndRemoves() async throws {
        try await RelayScene.run { scene in
            try await scene.withRelay(quickConfiguration()) {
                try await scene.service.commit(scene.topic, "a", 1...2_000)
                try await eventually { try await scene.service.count() < 2_000 }
            }
            // Published rows are removed. Rows that were not published are still in the table.
            let left = try await scene.service.count()
            try await scene.reader.readSequences(["a": 2_000 - left])
            #expect(Int64(await scene.reader.records.count) == 2_000 - left)
        }
    }
}
