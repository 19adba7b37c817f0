import Postgres
import StreamCore
import TestKit
import Testing

@testable import Projections

@Suite struct ProcessedEventDaysTests {
    private func withProjection(
        _ body: (OffsetTable, PostgresConnection, PostgresConfiguration) async throws -> Void
    ) async throws {
        try await TestDatabase.withSchema(migrating: ["projections"]) { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            let table = try await OffsetTable.register(
                name: "test", version: 1, consumerGroup: "test.test.v1", on: connection)
            try await body(table, connection, configuration)
            await connection.close()
        }
    }

    private func today(_ connection: PostgresConnection) async throws -> Int32 {
        try await connection.execute("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date").day(0, 0)
    }

    private func partitions(_ connection: PostgresConnection) async throws -> Int64 {
        try await connection.execute(
            """
            SELECT count(*) FROM pg_inherits WHERE inhparent = to_regclass('processed_events_1')
            """
        ).int64(0, 0)
    }

    private func insert(_ day: Int32, _ connection: PostgresConnection) async throws {
        try await connection.execute(
            "INSERT INTO processed_events VALUES (gen_random_uuid(), $1, 1)", Parameters { $0.append(day: day) })
    }

    private func age(_ connection: PostgresConnection) async throws {
        try await connection.execute(
            "UPDATE processed_event_days SET last_written_at = last_written_at - interval '8 days'")
    }

    @Test func registeringTwiceIsOneProjection() async throws {
        try await withProjection { table, connection, configuration in
            try await withThrowingTaskGroup(of: Int16.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        let own = try await PostgresConnection.connect(configuration)
                        let other = try await OffsetTable.register(
                            name: "other", version: 1, consumerGroup: "test.other.v1", on: own)
                        await own.close()
                        return other.projectionID
                    }
                }
                var ids: Set<Int16> = []
                for try await id in group { ids.insert(id) }
                #expect(ids.count == 1 && !ids.contains(table.projectionID))
            }
        }
    }

    @Test func daysNearTodayGetTheirOwnPartitions() async throws {
        try await withProjection { table, connection, _ in
            let today = try await today(connection)
            var days = ProcessedEventDays(projectionID: table.projectionID)
            try await days.prepare([today, today - 1, today - 399], on: connection)
            #expect(try await partitions(connection) == 4)
            try await days.prepare([today + 3_000, today - 3_000, -10_000], on: connection)
            #expect(try await partitions(connection) == 4)
            for day in [today, today - 399, today + 3_000, -10_000] { try await insert(day, connection) }
            let result = try await connection.execute("SELECT count(*) FROM processed_events_1_default")
            #expect(try result.int64(0, 0) == 2)
        }
    }

    @Test func ownersMayMakeTheSamePartitionsAtOnce() async throws {
        try await withProjection { table, connection, configuration in
            let today = try await today(connection)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<6 {
                    group.addTask {
                        let own = try await PostgresConnection.connect(configuration)
                        var days = ProcessedEventDays(projectionID: table.projectionID)
                        try await days.prepare(Set(today - 9...today), on: own)
                        await own.close()
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await partitions(connection) == 11)
        }
    }

    @Test func whatIsInTheDefaultPartitionStaysThere() async throws {
        try await withProjection { table, connection, _ in
            let today = try await today(connection)
            // Inserts an event of today that was written when today was still in the far future.
            try await insert(today, connection)
            var days = ProcessedEventDays(projectionID: table.projectionID)
            try await days.prepare([today], on: connection)
            #expect(try await partitions(connection) == 1)
            try await insert(today, connection)
        }
    }

    @Test func aReaderOfTheWholeTableHoldsNothingUp() async throws {
        try await withProjection { table, connection, configuration in
            let today = try await today(connection)
            let reader = try await PostgresConnection.connect(configuration)
            try await reader.withTransaction { transaction in
                try await transaction.execute("SELECT count(*) FROM processed_events")
                var days = ProcessedEventDays(projectionID: table.projectionID)
                try await days.prepare([today], on: connection)
                try await insert(today, connection)
                try await age(connection)
                #expect(try await days.prune(retentionDays: 7, on: connection) == 0)
            }
            await reader.close()
            let result = try await connection.execute("SELECT count(*) FROM processed_events_1_default")
            #expect(try result.int64(0, 0) == 1)
        }
    }

    @Test func partitionsNotWrittenToAreDropped() async throws {
        try await withProjection { table, connection, _ in
            let today = try await today(connection)
            var days = ProcessedEventDays(projectionID: table.projectionID)
            try await days.prepare([today, today - 5, -10_000], on: connection)
            for day in [today, today - 5, -10_000] { try await insert(day, connection) }
            #expect(try await days.prune(retentionDays: 7, on: connection) == 0)
            try await age(connection)
            // Another process writes to the partition of an old day again.
            var other = ProcessedEventDays(projectionID: table.projectionID)
            try await other.prepare([today - 5], on: connection)
            #expect(try await days.prune(retentionDays: 7, on: connection) == 2)
            #expect(try await partitions(connection) == 2)
            let left = try await connection.execute("SELECT event_day FROM processed_events")
            #expect(left.rowCount == 1)
            #expect(try left.day(0, 0) == today - 5)
            // A partition that was dropped is created again when it is needed.
            try await days.prepare([today], on: connection)
            #expect(try await partitions(connection) == 3)
        }
    }

    @Test func writersAndPrunersDoNotLoseEachOther() async throws {
        try await withProjection { table, connection, configuration in
            let today = try await today(connection)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    let own = try await PostgresConnection.connect(configuration)
                    for _ in 0..<40 {
                        try await own.execute(
                            "UPDATE processed_event_days SET last_written_at = last_written_at - interval '8 days'")
                        var days = ProcessedEventDays(projectionID: table.projectionID)
                        _ = try await days.prune(retentionDays: 7, on: own)
                    }
                    await own.close()
                }
                group.addTask {
                    let own = try await PostgresConnection.connect(configuration)
                    for _ in 0..<40 {
                        var days = ProcessedEventDays(projectionID: table.projectionID)
                        try await days.prepare([today], on: own)
                    }
                    await own.close()
                }
                try await group.waitForAll()
            }
            let result = try await connection.execute(
                """
                SELECT count(*) FROM processed_event_days
                WHERE to_regclass('processed_events_1_' || to_char(event_day, 'YYYYMMDD')) IS NULL
                """)
            #expect(try result.int64(0, 0) == 0)
        }
    }

    @Test func aDayThatAParkedEventIsOfIsKept() async throws {
        try await withProjection { table, connection, _ in
            let today = try await today(connection)
            var days = ProcessedEventDays(projectionID: table.projectionID)
            try await days.prepare([today, today - 1, today - 1_000], on: connection)
            try await insert(today - 1_000, connection)
            try await connection.execute(
                """
                INSERT INTO parked_events (projection_id, topic, partition, record_offset, event_day, reason)
                VALUES (1, 't', 0, 1, $1, 'failed'), (1, 't', 0, 2, $2, 'failed')
                """,
                Parameters {
                    $0.append(day: today - 1)
                    $0.append(day: today - 1_000)
                })
            try await age(connection)
            #expect(try await days.prune(retentionDays: 7, on: connection) == 1, "only today is not needed")
            #expect(try await connection.execute("SELECT count(*) FROM processed_events").int64(0, 0) == 1)
            try await connection.execute(.unprepared("DELETE FROM parked_events"))
            #expect(try await days.prune(retentionDays: 7, on: connection) == 2)
        }
    }
}
