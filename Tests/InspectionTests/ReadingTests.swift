import Foundation
import Kafka
import Postgres
import StreamCore
import Tail
import TestKit
import Testing

@testable import Inspection

/// Reads lag and traces from a real database and the tests' cluster.
@Suite struct ReadingTests {
    private static let sets = ["outbox", "projections", "dead-letters"]
    /// Noon of yesterday, in milliseconds since 1970. It is recent, because a broker may remove old records at once.
    private static let noonMs = (Int64(Date().timeIntervalSince1970) / 86_400 - 1) * 86_400_000 + 43_200_000
    /// The date of that day in ISO 8601.
    private static let day = String(Timestamp(microseconds: noonMs * 1_000).description.prefix(10))

    private func withScene(
        partitions: Int32 = 1, migrating further: [String] = [],
        _ body: (PostgresConnection, KafkaClientConfiguration, String) async throws -> Void
    ) async throws {
        try await TestDatabase.withSchema(migrating: Self.sets + further) { postgres in
            try await TestKafka.withTopics(partitions: partitions) { topics in
                let connection = try await PostgresConnection.connect(postgres)
                try await body(connection, try TestKafka.clientConfiguration(), topics[0])
                await connection.close()
            }
        }
    }

    private func send(
        _ topic: String, _ records: [(key: String, value: String, timestampMs: Int64)]
    ) async throws {
        let producer = try Producer(try TestKafka.clientConfiguration()) { _ in }
        for record in records {
            try await producer.send(
                topic: topic, key: Array(record.key.utf8), value: Array(record.value.utf8),
                timestampMs: record.timestampMs)
        }
        await producer.close(timeoutMs: 5_000)
    }

    private static func event(_ type: String, _ sequence: Int, payload: String = "{}") -> String {
        """
        {"eventType":"\(type)","aggregateId":"o-1","sequence":\(sequence),"timestamp":"\(Self.day)T12:00:0\(sequence)Z",\
        "payload":\(payload)}
        """
    }

    // MARK: lag

    @Test func projectionsAreReadFromTheDatabaseAndTheirLagFromKafka() async throws {
        try await withScene { connection, kafka, topic in
            let start = Self.noonMs
            try await send(topic, [("a", "1", start), ("a", "2", start + 1_000), ("a", "3", start + 2_000)])
            try await connection.execute(
                script: """
                    INSERT INTO projections (id, name, version, consumer_group) VALUES (1, 'orders', 2, 'g');
                    INSERT INTO projection_offsets (projection_id, topic, partition, next_offset, updated_at)
                    VALUES (1, '\(topic)', 0, 1, '\(Self.day)T12:00:00Z')
                    """)
            let reader = try LagReader(
                connection, kafka, groups: [], programs: ["orders": "no-such-program"], timeoutMs: 60_000)
            let reading = try await reader.read()
            let partition = TopicPartition(topic: topic, partition: 0)
            let position = try #require(reading.positions[.init(name: "orders", version: 2)]?[partition])
            #expect(position.next == 1 && position.movedAtMs == start)
            #expect(position.oldestUnreadMs == start + 1_000)
            #expect(reading.ends[partition] == 3 && reading.beginnings[partition] == 0)
            #expect(reading.isRunning == ["orders": false])
            var tracker = LagTracker()
            let report = tracker.report(reading)
            #expect(report.rows.map(\.lag) == [2])
            #expect(report.rows.map(\.state) == [.stop], "its program is not connected, and its offset has not moved")
            #expect(report.maxSecondsBehind > 0)
        }
    }

    /// Records that arrive while the command reads a healthy system are applied a moment later. They are not lag.
    @Test func aReadingWaitsForWhatIsReadAtOnce() async throws {
        try await withScene { connection, kafka, topic in
            try await send(topic, [("a", "1", Self.noonMs), ("a", "2", Self.noonMs)])
            try await connection.execute(
                script: """
                    INSERT INTO projections (id, name, version, consumer_group) VALUES (1, 'orders', 1, 'g');
                    INSERT INTO projection_offsets (projection_id, topic, partition, next_offset)
                    VALUES (1, '\(topic)', 0, 1)
                    """)
            let reader = try LagReader(
                connection, kafka, groups: [], programs: [:], patience: .seconds(60), timeoutMs: 60_000)
            async let reading = reader.read()
            // The reading ends with the offset after the last record, whether or not it also saw the old offset.
            try await connection.execute("UPDATE projection_offsets SET next_offset = 2")
            var tracker = LagTracker()
            #expect(tracker.report(try await reading).rows.map(\.lag) == [0])
            // A partition without an offset has made no progress since its projection was registered.
            try await connection.execute(
                script: """
                    UPDATE projections SET created_at = '\(Self.day)T12:00:00Z';
                    UPDATE projection_offsets SET partition = 1
                    """)
            let unread = try await LagReader(connection, kafka, groups: [], programs: [:], timeoutMs: 60_000).read()
            let position = unread.positions[.init(name: "orders", version: 1)]?[.init(topic: topic, partition: 0)]
            #expect(position?.movedAtMs == Self.noonMs)
        }
    }

    /// The partition has no offset yet. All its records are unread and must not count as read.
    @Test func aPartitionThatNobodyWasAssignedIsUnread() async throws {
        try await withScene(partitions: 2) { connection, kafka, topic in
            let keys = (0..<20).map { (key: "k\($0)", value: "v", timestampMs: Self.noonMs) }
            try await send(topic, keys)
            try await connection.execute(
                script: """
                    INSERT INTO projections (id, name, version, consumer_group) VALUES (1, 'orders', 1, 'g');
                    INSERT INTO projection_offsets (projection_id, topic, partition, next_offset)
                    VALUES (1, '\(topic)', 0, 0)
                    """)
            var tracker = LagTracker()
            let reader = try LagReader(connection, kafka, groups: [], programs: [:], timeoutMs: 60_000)
            let report = tracker.report(try await reader.read())
            #expect(report.rows.map(\.partition.partition) == [0, 1])
            #expect(report.totalLag == 20)
        }
    }

    /// Only the database knows the names of SQL projections.
    @Test func projectionsInSQLHaveTheirProgram() async throws {
        try await withScene(migrating: ["sql-projections", "commands"]) { connection, kafka, topic in
            try await connection.execute(
                script: """
                    INSERT INTO sql_projections (name, version, schema_name, schema_checksum)
                    VALUES ('parcels', 1, 'p1', ''), ('accounts', 1, 'a1', '');
                    INSERT INTO inline_projections (name, version, topic_suffix) VALUES ('accounts', 1, '-events')
                    """)
            let reader = try LagReader(
                connection, kafka, groups: [], programs: ["orders": "a-program"], sqlProgram: "no-such-program",
                timeoutMs: 60_000)
            // Commands apply `accounts`. No separate program does.
            #expect(try await reader.read().isRunning == ["orders": false, "parcels": false])
        }
    }

    @Test func theTopicsOfATraceAreThoseThatProjectionsRead() async throws {
        try await withScene { connection, kafka, topic in
            let trace = AggregateTrace(of: "o-1", on: connection)
            #expect(try await trace.topics().isEmpty)
            try await connection.execute(
                script: """
                    INSERT INTO projections (id, name, version, consumer_group)
                    VALUES (1, 'parcels', 1, 'g1'), (2, 'parcels', 2, 'g2'), (3, 'hubs', 1, 'g3');
                    INSERT INTO projection_versions (name, version, schema_name, structure, state)
                    VALUES ('parcels', 1, 'p1', 1, 'superseded'), ('parcels', 2, 'p2', 2, 'live');
                    INSERT INTO projection_offsets (projection_id, topic, partition, next_offset)
                    VALUES (1, 'old', 0, 1), (2, 'parcel-events', 0, 1), (2, 'parcel-events', 1, 1),
                        (2, 'retry.parcels', 0, 1), (3, 'retry-hubs', 0, 1)
                    """)
            #expect(try await trace.topics() == ["parcel-events", "retry-hubs"])
            try await send(topic, [("o-1", Self.event("Scanned", 1), Self.noonMs)])
            // It is enough that one of the patterns matches.
            let timeline = try await trace.read(
                kafka, topics: ["no-such-*", topic], needsEachTopic: false, from: .beginning, isStopping: { false })
            #expect(timeline.entries.map(\.step.text).contains("Scanned #1 published"))
            await #expect(throws: TailError.self) {
                try await trace.read(
                    kafka, topics: ["no-such-*", "nor-*"], needsEachTopic: false, from: .beginning,
                    isStopping: { false })
            }
        }
    }

    @Test func groupsAreReadFromKafka() async throws {
        try await TestKafka.withTopics { topics in
            try await send(topics[0], [("a", "1", 0), ("a", "2", 0)])
            let kafka = try TestKafka.clientConfiguration()
            let group = TestKafka.uniqueName("group")
            let consumer = try Consumer(kafka, group: group)
            let partition = TopicPartition(topic: topics[0], partition: 0)
            try await consumer.assign([partition: .beginning])
            try await consumer.commit([partition: 1], timeoutMs: 60_000)
            await consumer.close(timeoutMs: 5_000)
            let reader = try LagReader(nil, kafka, groups: [group], programs: [:], timeoutMs: 60_000)
            let reading = try await reader.read()
            #expect(reading.positions[.init(name: group, version: nil)]?[partition]?.next == 1)
            var tracker = LagTracker()
            #expect(tracker.report(reading).rows.map(\.lag) == [1])
        }
    }

    // MARK: traces

    private func trace(
        _ connection: PostgresConnection, _ kafka: KafkaClientConfiguration, _ topic: String, orders: Bool = false
    ) async throws -> [String] {
        let trace = AggregateTrace(of: "o-1", orReferredToBy: orders ? "orderId" : nil, on: connection)
        let timeline = try await trace.read(kafka, topics: [topic], from: .beginning, isStopping: { false })
        return timeline.entries.map { "\($0.step.place): \($0.step.text)" }
    }

    @Test func anAggregatesWholeWay() async throws {
        try await withScene { connection, kafka, topic in
            let start = Self.noonMs + 1_500
            try await send(
                topic,
                [
                    ("o-1", Self.event("OrderCreated", 1), start), ("o-2", #"{"aggregateId":"o-2"}"#, start),
                    ("o-1", Self.event("ItemAdded", 2), start + 1_000),
                    ("o-1", Self.event("Confirmed", 3), start + 2_000),
                    ("p-1", #"{"eventType":"Paid","aggregateId":"p-1","payload":{"orderId":"o-1"}}"#, start + 3_000),
                ])
            try await connection.execute(
                script: """
                    INSERT INTO outbox (id, event_type, aggregate_type, aggregate_id, sequence, occurred_at, payload)
                    VALUES (7, 'Cancelled', 'Order', 'o-1', 4, '\(Self.day)T12:00:09Z', '{}'),
                        (8, 'Cancelled', 'Order', 'o-2', 4, '\(Self.day)T12:00:09Z', '{}');
                    INSERT INTO projections (id, name, version, consumer_group) VALUES (1, 'orders', 2, 'g');
                    INSERT INTO projection_offsets (projection_id, topic, partition, next_offset, updated_at)
                    VALUES (1, '\(topic)', 0, 3, '\(Self.day)T12:00:02.600Z');
                    INSERT INTO parked_events
                        (projection_id, topic, partition, record_offset, reason, error_class, parked_at)
                    VALUES (1, '\(topic)', 0, 2, 'failed', 'missing_field', '\(Self.day)T12:00:02.600Z');
                    INSERT INTO dead_letters
                        (consumer, origin_topic, origin_partition, origin_offset, value_kept, header_names, header_values,
                         state, reason, error_class, message, first_error_class, first_message, fingerprint, dialect,
                         event_type, created_at)
                    VALUES ('orders', '\(topic)', 0, 2, 'here', '{}', '{}', 'pending', 'failed', 'missing_field', 'm',
                        'missing_field', 'm', 'f', 'millrace', 'ItemAdded', '\(Self.day)T12:00:02.700Z');
                    INSERT INTO dead_letter_history (letter_id, at, actor, action, to_state, reason)
                    SELECT letter_id, '\(Self.day)T12:00:08Z', 'mara', 'retry', 'retrying', 'mended' FROM dead_letters
                    """)
            let letter = try await connection.execute("SELECT letter_id FROM dead_letters").int64(0, 0)
            let steps = try await trace(connection, kafka, topic)
            #expect(
                steps == [
                    "event: OrderCreated #1 happened", "\(topic)/0/0: OrderCreated #1 published",
                    "orders v2: OrderCreated #1 applied", "event: ItemAdded #2 happened",
                    "\(topic)/0/2: ItemAdded #2 published", "orders v2: ItemAdded #2 failed: missing_field",
                    "dead letter \(letter): orders: ItemAdded failed, missing_field (now pending)",
                    "event: Confirmed #3 happened", "\(topic)/0/3: Confirmed #3 published",
                    "orders v2: Confirmed #3 waits behind 0 offsets",
                    "dead letter \(letter): retry → retrying by mara: mended",
                    "outbox row 7: Cancelled #4 waits to be published",
                ])
            let related = try await trace(connection, kafka, topic, orders: true)
            #expect(
                Set(related).subtracting(steps) == [
                    "\(topic)/0/4: Paid published", "orders v2: Paid waits behind 1 offsets",
                ])
        }
    }

    /// A dead letter and its retry are copies of the record.
    @Test func anEventWithCopiesHappenedOnce() async throws {
        try await withScene { connection, kafka, topic in
            let copies = (2_001...2_003).map {
                (key: "o-1", value: Self.event("Created", 1), timestampMs: Self.noonMs + $0)
            }
            try await send(topic, copies)
            let steps = try await trace(connection, kafka, topic)
            #expect(
                steps == ["event: Created #1 happened"] + (0...2).map { "\(topic)/0/\($0): Created #1 published" })
        }
    }

    /// The steps of one transaction have the same time and keep their order.
    @Test func theStepsOfAProcess() async throws {
        try await withScene(migrating: ["processes"]) { connection, kafka, topic in
            try await connection.execute(
                script: """
                    INSERT INTO processes (process, process_id, stage, is_finished, state_format, state, step_count,
                        started_at, updated_at)
                    SELECT 'order-process', 'o-' || n, 'cancelled', true, 1, '{}', 3, now(), now()
                    FROM generate_series(1, 2) AS n;
                    INSERT INTO process_steps (process, process_id, number, at, step, outcome, stage)
                    VALUES ('order-process', 'o-1', 3, '\(Self.day)T12:00:01Z', 'CancelOrder', 'accepted', 'cancelled'),
                        ('order-process', 'o-1', 2, '\(Self.day)T12:00:01Z', 'ReserveOrder', 'insufficient-stock',
                         'cancelling'),
                        ('order-process', 'o-1', 1, '\(Self.day)T12:00:00Z', 'OrderConfirmed', 'taken', 'working'),
                        ('order-process', 'o-2', 1, '\(Self.day)T12:00:00Z', 'OrderConfirmed', 'taken', 'working')
                    """)
            let steps = try await trace(connection, kafka, topic)
            #expect(
                steps == [
                    "order-process: OrderConfirmed taken → working",
                    "order-process: ReserveOrder insufficient-stock → cancelling",
                    "order-process: CancelOrder accepted → cancelled",
                ])
        }
    }

    @Test func nothingIsKnownOfWhatIsNotThere() async throws {
        try await withScene { connection, kafka, topic in
            let steps = try await trace(connection, kafka, topic)
            #expect(steps == [])
        }
    }

    @Test func stepsAreInTheOrderOfTimeWithTheTimeBetween() {
        func step(_ milliseconds: Int64?, _ text: String, order: Int = 0) -> TraceStep {
            TraceStep(milliseconds.map { Timestamp(microseconds: $0 * 1_000) }, "p", text, order: order)
        }
        var timeline = TraceTimeline()
        timeline.add([step(300, "late")])
        timeline.add([step(100, "first"), step(200, "second"), step(nil, "follows from the second")])
        timeline.add([step(200, "at the same time, and later by its kind", order: 1)])
        timeline.add([step(nil, "no time at all")])
        let entries = timeline.entries
        #expect(
            entries.map(\.step.text) == [
                "first", "second", "follows from the second", "at the same time, and later by its kind", "late",
                "no time at all",
            ])
        #expect(entries.map(\.after) == [nil, 100_000, nil, 0, 100_000, nil])
        #expect(TraceTimeline().isEmpty && !timeline.isEmpty)
    }
}
