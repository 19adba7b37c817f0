import Kafka
import Postgres
import StreamCore
import Synchronization
import TestKit
import Testing

@testable import Projections

/// Tests the transaction without a runner, with several writers that own the same partition.
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
        _ configuration: PostgresConfiguration, notifying channel: String? = nil, onlyQueues: Bool = false,
        beforeApply: @escaping LedgerProjection.Hook = { _, _ in }
    ) -> BatchWriter<LedgerProjection> {
        BatchWriter(
            LedgerProjection(name: "ledger", topics: ["t"], onlyQueues: onlyQueues, beforeApply: beforeApply),
            configuration, consumerGroup: "test.ledger.v1", retentionDays: 7, notifyChannel: channel)
    }

    /// Creates events of one key at the offsets from `start` on, and the order to write all of them.
    ///
    /// - Parameter events: the events; nil for new ones.
    private func work(
        _ key: String, from start: Int64, count: Int64, events: [LedgerEvent]? = nil
    ) throws -> (PreparedBatch<LedgerEvent>, WriteOrder) {
        var batch = PreparedBatch<LedgerEvent>()
        let part = batch.appendPart(Self.partition, from: start)
        for index in 0..<count {
            let event = events?[Int(index)] ?? LedgerEvent(key: key, sequence: index + 1)
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

    @Test(arguments: [false, true]) func appliedEventsAreTold(onlyQueues: Bool) async throws {
        try await withSchema { configuration, connection in
            let channel = configuration.schema
            let listener = try await PostgresListener.connect(configuration, channels: [channel])
            let writer = writer(configuration, notifying: channel, onlyQueues: onlyQueues)
            _ = await writer.loadOffsets([Self.partition])
            let (batch, order) = try work("a", from: 0, count: 3)
            guard case (.written(.committed), _) = await writer.write(batch, order) else {
                Issue.record("not committed")
                return
            }
            // A fenced transaction changes nothing and sends no notification.
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

    /// A read model that the topics can reproduce needs no wait for the disk, unless the configuration demands it.
    @Test func onlyReproducibleEffectsSkipTheDisk() async throws {
        try await withSchema { configuration, _ in
            var durable = configuration
            durable.settings["synchronous_commit"] = "on"
            for (isReproducible, configuration, setting) in [
                (false, configuration, "on"), (true, configuration, "off"), (true, durable, "on"),
            ] {
                let seen = Mutex("")
                var ledger = LedgerProjection(name: "ledger", topics: ["t"])
                ledger.isReproducible = isReproducible
                ledger.beforeApply = { _, transaction in
                    let value = try await transaction.execute("SHOW synchronous_commit").string(0, 0)
                    seen.withLock { $0 = value }
                }
                let writer = BatchWriter(ledger, configuration, consumerGroup: setting, retentionDays: 7)
                guard case .offsetsLoaded(let offsets, _, _) = await writer.loadOffsets([Self.partition]) else {
                    Issue.record("no offsets")
                    return
                }
                let (batch, order) = try work("a", from: try #require(offsets[Self.partition]), count: 1)
                guard case (.written(.committed), _) = await writer.write(batch, order) else {
                    Issue.record("not committed")
                    return
                }
                #expect(seen.withLock(\.self) == setting)
                await writer.close()
            }
        }
    }

    @Test(arguments: [false, true]) func aZombieCannotCommit(onlyQueues: Bool) async throws {
        try await withSchema { configuration, connection in
            let owner = writer(configuration, onlyQueues: onlyQueues)
            let zombie = writer(configuration, onlyQueues: onlyQueues)
            for writer in [owner, zombie] {
                guard case .offsetsLoaded([Self.partition: 0], [:], _) = await writer.loadOffsets([Self.partition])
                else {
                    Issue.record("loading the offsets failed")
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
            // This transaction waits for the row lock of the slow one.
            async let fastOutcome = fast.write(second, secondOrder)
            try await eventually {
                let waiting = try await connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%moves%'")
                return try waiting.int64(0, 0) > 0
            }
            latch.open()
            guard case (.written(.committed), _) = await slowOutcome, case (.written(.fenced), _) = await fastOutcome
            else {
                Issue.record("expected that only the first transaction commits")
                return
            }
            #expect(try await keys(connection) == ["slow"])
            for writer in [slow, fast] { await writer.close() }
        }
    }

    /// If a projection only queues statements, nothing has been sent when it has applied a few events. The whole
    /// transaction is then one round trip.
    @Test func fewEventsAreAppliedInOneRoundTrip() async throws {
        try await withSchema { configuration, connection in
            let found = Mutex<[Int64]>([])
            let writer = writer(configuration, onlyQueues: true) { events, _ in
                let begun = try await connection.execute(
                    "SELECT count(*) FROM pg_locks WHERE relation = 'ledger'::regclass OR relation = 'projection_offsets'::regclass"
                )
                let count = try begun.int64(0, 0)
                found.withLock { $0.append(count) }
            }
            _ = await writer.loadOffsets([Self.partition])
            // Creates the day's partition now, because otherwise the first transaction would create it.
            for (start, count) in [(0, 3), (3, 16), (19, 17)] as [(Int64, Int64)] {
                let (batch, order) = try work("key-\(start)", from: start, count: count)
                guard case (.written(.committed), let committed) = await writer.write(batch, order) else {
                    Issue.record("not committed")
                    return
                }
                #expect(committed.fresh.count == Int(count) && committed.duplicates == 0)
            }
            let locks = found.withLock { $0 }
            #expect(locks.count == 3 && locks[0] == 0 && locks[1] == 0, "\(locks)")
            #expect(locks.last.map { $0 > 0 } == true, "with many events, the offsets are claimed first")
            #expect(try await processed(connection) == 36)
            await writer.close()
        }
    }

    @Test(arguments: [false, true]) func anEventIsAppliedOnce(onlyQueues: Bool) async throws {
        try await withSchema { configuration, connection in
            let writer = writer(configuration, onlyQueues: onlyQueues)
            _ = await writer.loadOffsets([Self.partition])
            let events = (1...4).map { LedgerEvent(key: "a", sequence: $0) }
            let (first, firstOrder) = try work("a", from: 0, count: 3, events: events)
            _ = await writer.write(first, firstOrder)
            // Two of the three events come again. One event is new and comes twice.
            let again = [events[1], events[2], events[3], events[3]]
            let (second, secondOrder) = try work("a", from: 3, count: 4, events: again)
            guard case (.written(.committed), let committed) = await writer.write(second, secondOrder) else {
                Issue.record("not committed")
                return
            }
            #expect(Array(committed.fresh) == [2] && committed.duplicates == 3)
            #expect(try await connection.execute("SELECT count FROM ledger").int64(0, 0) == 4)
            #expect(try await processed(connection) == 4)
            await writer.close()
        }
    }

    /// The table refuses negative amounts.
    @Test(arguments: [false, true]) func anEventThatFailsIsFound(onlyQueues: Bool) async throws {
        try await withSchema { configuration, connection in
            let writer = writer(configuration, onlyQueues: onlyQueues)
            _ = await writer.loadOffsets([Self.partition])
            let (batch, order) = try work(
                "a", from: 0, count: 1, events: [LedgerEvent(key: "a", sequence: 1, amount: -1)])
            guard case (.written(.failed(let fault)), _) = await writer.write(batch, order) else {
                Issue.record("not failed")
                return
            }
            #expect(fault.culprit == 0)
            #expect(try await processed(connection) == 0)
            // The session stays usable.
            let (next, nextOrder) = try work("b", from: 0, count: 2)
            guard case (.written(.committed), _) = await writer.write(next, nextOrder) else {
                Issue.record("not committed")
                return
            }
            #expect(try await keys(connection) == ["b"])
            await writer.close()
        }
    }

    @Test(arguments: [false, true]) func theOutcomeOfACommitCanBeLookedUp(onlyQueues: Bool) async throws {
        try await withSchema { configuration, _ in
            let writer = writer(configuration, onlyQueues: onlyQueues)
            _ = await writer.loadOffsets([Self.partition])
            let (batch, order) = try work("a", from: 0, count: 3)
            guard case .settled(.notCommitted, _) = await writer.settle(order.moves) else {
                Issue.record("expected notCommitted before the write")
                return
            }
            _ = await writer.write(batch, order)
            guard case .settled(.committed, _) = await writer.settle(order.moves) else {
                Issue.record("expected committed after the write")
                return
            }
            let (later, laterOrder) = try work("b", from: 3, count: 1)
            _ = await writer.write(later, laterOrder)
            guard case .settled(.fenced, _) = await writer.settle(order.moves) else {
                Issue.record("expected fenced, because a later transaction moved the offset")
                return
            }
            await writer.close()
        }
    }
}
