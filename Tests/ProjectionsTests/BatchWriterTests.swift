import Kafka
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Projections

/// The transaction by itself, with owners that do not know of each other.
@Suite struct BatchWriterTests {
    private static let partition = TopicPartition(topic: "t", partition: 0)

    private func withSchema(_ body: (PostgresConfiguration, PostgresConnection) async throws -> Void) async throws {
        try await TestDatabase.withSchema(migrating: ["projections"]) { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            try await connection.execute(script: LedgerProjection.schema)
            try await body(configuration, connection)
            await connection.close()
        }
    }

    private func writer(
        _ configuration: PostgresConfiguration, notifying channel: String? = nil,
        beforeApply: @escaping LedgerProjection.Hook = { _, _ in }
    ) -> BatchWriter<LedgerProjection> {
        BatchWriter(
            LedgerProjection(name: "ledger", topics: ["t"], beforeApply: beforeApply), configuration,
            consumerGroup: "test.ledger.v1", retentionDays: 7, notifyChannel: channel)
    }

    /// Events of one key at the offsets from `start` on, and the order to write all of them.
    private func work(
        _ key: String, from start: Int64, count: Int64
    ) throws -> (PreparedBatch<LedgerEvent>, WriteOrder) {
        var batch = PreparedBatch<LedgerEvent>()
        let part = batch.appendPart(Self.partition, from: start)
        for index in 0..<count {
            let event = LedgerEvent(key: key, sequence: index + 1)
            let identity = EventIdentity(
                eventID: event.id, eventType: "Entered", aggregateID: key, sequence: event.sequence,
                timestamp: event.timestamp)
            batch.append(identity, event, part: part, offset: start + index)
        }
        var plan = BatchSplitter(batch.layout)
        let next = plan.next()
        let slice = try #require(next)
        let move = OffsetMove(partition: Self.partition, expected: start, next: start + count)
        return (batch, WriteOrder(batch: BatchID(number: 1), slice: slice, moves: [move]))
    }

    private func keys(_ connection: PostgresConnection) async throws -> [String] {
        let result = try await connection.execute("SELECT key FROM ledger ORDER BY key")
        return try (0..<result.rowCount).map { try result.string($0, 0) }
    }

    private func processed(_ connection: PostgresConnection) async throws -> Int64 {
        try await connection.execute("SELECT count(*) FROM processed_events").int64(0, 0)
    }

    @Test func appliedEventsAreTold() async throws {
        try await withSchema { configuration, connection in
            let channel = configuration.schema
            let listener = try await PostgresListener.connect(configuration, channels: [channel])
            let writer = writer(configuration, notifying: channel)
            _ = await writer.loadOffsets([Self.partition])
            let (batch, order) = try work("a", from: 0, count: 3)
            guard case (.written(.committed), _) = await writer.write(batch, order) else {
                Issue.record("not committed")
                return
            }
            // Fenced: it changes nothing, and tells nothing.
            let (stale, staleOrder) = try work("b", from: 0, count: 2)
            guard case (.written(.fenced), _) = await writer.write(stale, staleOrder) else {
                Issue.record("not fenced")
                return
            }
            try await connection.execute("SELECT pg_notify($1, 'last')", Parameters { $0.append(channel) })
            var payloads: [String] = []
            for try await notification in listener {
                payloads.append(notification.payload)
                if notification.payload == "last" { listener.stop() }
            }
            #expect(payloads == ["", "last"])
            await writer.close()
        }
    }

    @Test func aZombieCannotCommit() async throws {
        try await withSchema { configuration, connection in
            let owner = writer(configuration)
            let zombie = writer(configuration)
            for writer in [owner, zombie] {
                guard case .offsetsLoaded([Self.partition: 0], [:], _) = await writer.loadOffsets([Self.partition])
                else {
                    Issue.record("the offsets were not loaded")
                    return
                }
            }
            let (batch, order) = try work("owner", from: 0, count: 3)
            let (input, committed) = await owner.write(batch, order)
            guard case .written(.committed) = input else {
                Issue.record("not committed: \(input)")
                return
            }
            #expect(committed.fresh.count == 3)
            let (stale, staleOrder) = try work("zombie", from: 0, count: 2)
            guard case (.written(.fenced), _) = await zombie.write(stale, staleOrder) else {
                Issue.record("not fenced")
                return
            }
            #expect(try await keys(connection) == ["owner"])
            #expect(try await processed(connection) == 3)
            for writer in [owner, zombie] { await writer.close() }
        }
    }

    @Test func ofTwoAtOnceOneCommits() async throws {
        try await withSchema { configuration, connection in
            let latch = Latch()
            let slow = writer(configuration) { _, _ in await latch.wait() }
            let fast = writer(configuration)
            for writer in [slow, fast] { _ = await writer.loadOffsets([Self.partition]) }
            let (first, firstOrder) = try work("slow", from: 0, count: 3)
            let (second, secondOrder) = try work("fast", from: 0, count: 3)
            async let slowOutcome = slow.write(first, firstOrder)
            try await eventually { latch.isWaiting }
            // Waits for the row that the slow one holds.
            async let fastOutcome = fast.write(second, secondOrder)
            try await eventually {
                let waiting = try await connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%moves%'")
                return try waiting.int64(0, 0) > 0
            }
            latch.open()
            guard case (.written(.committed), _) = await slowOutcome, case (.written(.fenced), _) = await fastOutcome
            else {
                Issue.record("not exactly the first one committed")
                return
            }
            #expect(try await keys(connection) == ["slow"])
            for writer in [slow, fast] { await writer.close() }
        }
    }

    @Test func theOutcomeOfACommitCanBeLookedUp() async throws {
        try await withSchema { configuration, _ in
            let writer = writer(configuration)
            _ = await writer.loadOffsets([Self.partition])
            let (batch, order) = try work("a", from: 0, count: 3)
            guard case .settled(.notCommitted, _) = await writer.settle(order.moves) else {
                Issue.record("it was not committed")
                return
            }
            _ = await writer.write(batch, order)
            guard case .settled(.committed, _) = await writer.settle(order.moves) else {
                Issue.record("it was committed")
                return
            }
            let (later, laterOrder) = try work("b", from: 3, count: 1)
            _ = await writer.write(later, laterOrder)
            guard case .settled(.fenced, _) = await writer.settle(order.moves) else {
                Issue.record("somebody went on from there")
                return
            }
            await writer.close()
        }
    }
}
