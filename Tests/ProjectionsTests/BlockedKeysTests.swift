import Postgres
import StreamCore
import TestKit
import Testing

@testable import Projections

/// The set of keys that are looked up before their events are applied. It contains all blocked keys and few others.
@Suite struct BlockedKeysTests {
    private func key(_ text: String, topic: String = "t") -> SequenceKey {
        SequenceKey(topic: topic, key: Array(text.utf8))
    }

    @Test func aKeyIsKnownByItsTopicToo() {
        var keys = BlockedKeys()
        #expect(keys.isEmpty && !keys.mayContain(key("a")))
        keys.insert([key("a")])
        #expect(!keys.isEmpty && keys.mayContain(key("a")))
        #expect(!keys.mayContain(key("b")) && !keys.mayContain(key("a", topic: "u")))
    }

    /// The lookup uses hashes of the keys, so it copies no key.
    @Test func aHashIsThatOfTopicAndKey() {
        let bytes = Array("a".utf8)
        #expect(KeyHash(key("a")) == KeyHash(topic: FNV1a.hash("t"), key: bytes.span))
        #expect(KeyHash(key("a")) != KeyHash(key("a", topic: "u")) && KeyHash(key("a")) != KeyHash(key("b")))
        #expect(KeyHash(SequenceKey(topic: "t", key: [])) != KeyHash(SequenceKey(topic: "u", key: [])))
    }

    /// The table stores a hash of a long key, so any long key may match one of its rows.
    @Test func aLongKeyMayBeBlockedWhenAnyIs() {
        let long = key(String(repeating: "x", count: 256))
        let plain = key(String(repeating: "x", count: 255))
        #expect(!BlockedKeys().mayContain(long))
        let keys = BlockedKeys(stored: [key("a")])
        #expect(keys.mayContain(long) && !keys.mayContain(plain))
    }

    @Test func whenThereAreTooManyAnyKeyMayBeBlocked() {
        let many = (1...BlockedKeys.limit).map { key("k\($0)") }
        var keys = BlockedKeys(stored: many)
        #expect(keys.mayContain(many[0]) && !keys.mayContain(key("other")))
        keys.insert([key("one more")])
        #expect(!keys.isEmpty && keys.mayContain(key("other")))
        // Keys that are inserted after the limit change nothing.
        keys.insert([key("another")])
        #expect(keys == BlockedKeys(stored: many + [key("one more")]))
    }

    @Test func whatIsKnownIsOutdatedWhenMostKeysAreFree() {
        let keys = BlockedKeys(stored: (1...10).map { key("k\($0)") })
        #expect(!keys.isOutdated(blocked: 10) && !keys.isOutdated(blocked: 5) && keys.isOutdated(blocked: 4))
        #expect(BlockedKeys(stored: [key("a")]).isOutdated(blocked: 0))
        #expect(!BlockedKeys().isOutdated(blocked: 0))
        let any = BlockedKeys(stored: (0...BlockedKeys.limit).map { key("k\($0)") })
        #expect(!any.isOutdated(blocked: Int64(BlockedKeys.limit) + 1))
        #expect(any.isOutdated(blocked: Int64(BlockedKeys.limit)))
    }

    /// The rows belong to two projections and two topics, and one sequence is long. Discarded rows block nothing.
    @Test func eachBlockedKeyIsReadOnce() async throws {
        try await TestDatabase.withSchema(migrating: ["projections"]) { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            try await connection.execute(
                script: """
                    INSERT INTO projections (name, version, consumer_group)
                    VALUES ('one', 1, 'test.one.v1'), ('two', 1, 'test.two.v1');
                    INSERT INTO parked_events (projection_id, topic, partition, record_offset, sequence, reason)
                    SELECT 1, 't', 0, n, 'hot', 'blocked' FROM generate_series(1, 2000) AS n
                    UNION ALL SELECT 1, 't', 0, 10000 + n, convert_to('k' || n, 'UTF8'), 'failed'
                        FROM generate_series(1, 30) AS n
                    UNION ALL SELECT 1, 'u', 0, n, 'hot', 'blocked' FROM generate_series(1, 2) AS n
                    UNION ALL SELECT 1, 'u', 0, 9, NULL, 'discarded'
                    UNION ALL SELECT 2, 't', 0, 1, 'of the other', 'failed';
                    ANALYZE parked_events
                    """)
            let (statement, parameters) = ParkedEvents(projectionID: 1).blockedKeys()
            let result = try await connection.execute(statement, parameters)
            #expect(result.rowCount == 32)
            let expected = (1...30).map { key("k\($0)") } + [key("hot"), key("hot", topic: "u")]
            #expect(try ParkedEvents.blockedKeys(in: result) == BlockedKeys(stored: expected))
            let some = try await connection.execute("SELECT count(*) FROM millrace_blocked_keys(1::smallint, 5)")
            #expect(try some.int64(0, 0) == 5)
            let none = try await connection.execute("SELECT count(*) FROM millrace_blocked_keys(3::smallint, 5)")
            #expect(try none.int64(0, 0) == 0)
            await connection.close()
        }
    }

    /// The writer loads the blocked keys from the database whenever partitions are assigned. Counting removes the keys
    /// that are free.
    @Test func aWriterKnowsWhatWasParkedBeforeItCame() async throws {
        try await TestDatabase.withSchema(migrating: ["projections"]) { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            let kafka = try TestKafka.clientConfiguration()
            let route = DeadLetterRoute(consumer: "ledger")
            let parking = ParkingWriter<LedgerEvent>(
                Parking(sender: LetterSender(consumer: "ledger", group: "test.ledger.v1", route: route), kafka: kafka))
            let tables = ParkingTables(
                try await OffsetTable.register(
                    name: "ledger", version: 1, consumerGroup: "test.ledger.v1", on: connection))
            let partition = TopicPartition(topic: "t", partition: 0)
            _ = try await parking.load([partition], tables, on: connection)
            #expect(parking.blockedKeys.isEmpty)
            try await connection.execute(
                script: """
                    INSERT INTO parked_events (projection_id, topic, partition, record_offset, sequence, reason)
                    SELECT id, 't', 0, n, convert_to('k' || n, 'UTF8'), 'failed' FROM projections,
                        generate_series(1, 3) AS n
                    """)
            _ = try await parking.load([partition], tables, on: connection)
            #expect(parking.blockedKeys == BlockedKeys(stored: (1...3).map { key("k\($0)") }))
            try await connection.execute(script: "DELETE FROM parked_events WHERE record_offset > 1")
            let counted = try await parking.count(tables, on: connection)
            #expect(counted.rows == 1 && counted.keys == 1)
            #expect(parking.blockedKeys == BlockedKeys(stored: [key("k1")]))
            await connection.close()
        }
    }
}
