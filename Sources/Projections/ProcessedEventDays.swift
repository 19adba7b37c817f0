internal import Postgres
internal import StreamCore

/// The partitions of `processed_events`, one for each day of events. They are created before the first write and
/// dropped if nothing was written to them for the retention time.
///
/// Creating and dropping lock the projection's row in `projections`, so several owners of partitions of one projection
/// do not interfere. The day's row in `processed_event_days` is updated before the first write of each hour. A row that
/// is about to be deleted is locked, so the update waits, and the partition is then created again.
struct ProcessedEventDays: Sendable {
    let projectionID: Int16
    /// The time when this process last updated the day's row.
    private var touched: [Int32: ContinuousClock.Instant] = [:]

    /// The number of days before and after today that have a partition of their own. Other days share the default
    /// partition, so that wrong clocks cannot create any number of partitions.
    private static let daysBefore: Int32 = 400
    private static let daysAfter: Int32 = 2
    private static let touchInterval = Duration.seconds(3_600)

    init(projectionID: Int16) {
        self.projectionID = projectionID
    }

    /// The table to insert into: this projection's partition of `processed_events`.
    var table: String { "processed_events_\(projectionID)" }

    /// Creates this projection's partition of `processed_events`, and its default partition.
    func makeRoot(on connection: PostgresConnection) async throws {
        guard try await !exists("\(table)_default", on: connection) else { return }
        try await connection.withTransaction { transaction in
            try await lock(in: transaction)
            try await transaction.execute(
                .unprepared(
                    """
                    CREATE TABLE IF NOT EXISTS \(table) PARTITION OF processed_events
                    FOR VALUES IN (\(projectionID)) PARTITION BY RANGE (event_day)
                    """))
            try await transaction.execute(
                .unprepared("CREATE TABLE IF NOT EXISTS \(table)_default PARTITION OF \(table) DEFAULT"))
        }
    }

    /// Ensures that events of these days can be inserted, and marks their partitions as written.
    mutating func prepare(_ days: Set<Int32>, on connection: PostgresConnection) async throws {
        let now = ContinuousClock.now
        let due = days.filter { day in touched[day].map { now - $0 >= Self.touchInterval } ?? true }
        if due.isEmpty { return }
        if touched.count > 10_000 { touched = [:] }
        for day in due.sorted() {
            try await prepare(day, on: connection)
            touched[day] = now
        }
    }

    private func prepare(_ day: Int32, on connection: PostgresConnection) async throws {
        let name = Self.name(of: day)
        let isOwn = try await connection.withTransaction { transaction in
            try await lock(in: transaction)
            let state = try await transaction.execute(
                Self.dayState,
                Parameters {
                    $0.append("\(table)_\(name.digits)")
                    $0.append(day: day)
                })
            let exists = try state.bool(0, 0)
            let distance = try state.int32(0, 1)
            guard exists || (-Self.daysBefore...Self.daysAfter).contains(distance) else { return false }
            if !exists, try await !makePartition(day, name, in: transaction) { return false }
            try await touch(day, in: transaction)
            return true
        }
        guard !isOwn else { return }
        try await connection.withTransaction { transaction in try await touch(nil, in: transaction) }
    }

    /// Creates the partition of a day.
    ///
    /// - Returns: false if the default partition has to store the day. It may already contain events of the day from a
    ///   time when the day was far away, or another session may lock the table for long, for example a backup. The day
    ///   then stays in the default partition, and its duplicates are found there.
    private func makePartition(
        _ day: Int32, _ name: (digits: String, date: String), in transaction: PostgresTransaction
    ) async throws -> Bool {
        do {
            try await transaction.withSavepoint {
                try await limitLockWait(in: transaction)
                _ = try await transaction.execute(
                    .unprepared(
                        """
                        CREATE TABLE \(table)_\(name.digits) PARTITION OF \(table)
                        FOR VALUES FROM ('\(name.date)') TO ('\(Self.name(of: day + 1).date)')
                        """))
            }
            return true
        } catch let error as PostgresError
            where error.sqlState == Self.checkViolation || error.sqlState == .lockNotAvailable
        {
            return false
        }
    }

    /// - Parameter day: the day; nil for the default partition.
    private func touch(_ day: Int32?, in transaction: PostgresTransaction) async throws {
        try await transaction.execute(
            Self.touchDay,
            Parameters {
                $0.append(projectionID)
                $0.append(day: day)
            })
    }

    // MARK: pruning

    /// Drops the partitions that were not written to for `retentionDays` days. Truncates the default partition under
    /// the same condition.
    ///
    /// - Returns: the number of dropped or truncated partitions.
    mutating func prune(retentionDays: Int, on connection: PostgresConnection) async throws -> Int {
        let old = try await connection.execute(
            Self.oldDays,
            Parameters {
                $0.append(projectionID)
                $0.append(Int32(retentionDays))
            })
        var pruned = 0
        for row in 0..<old.rowCount {
            let day = try old.isNull(row, 0) ? nil : old.day(row, 0)
            if let day { touched[day] = nil }
            do {
                if try await prune(day, retentionDays: retentionDays, on: connection) { pruned += 1 }
            } catch let error as PostgresError where error.sqlState == .lockNotAvailable {
                // Another session uses the partition. It can be dropped later.
            }
        }
        return pruned
    }

    private func prune(_ day: Int32?, retentionDays: Int, on connection: PostgresConnection) async throws -> Bool {
        try await connection.withTransaction { transaction in
            try await lock(in: transaction)
            let forgotten = try await transaction.execute(
                Self.forgetDay,
                Parameters {
                    $0.append(projectionID)
                    $0.append(Int32(retentionDays))
                    $0.append(day: day)
                })
            guard forgotten.affectedRows == 1 else { return false }
            try await limitLockWait(in: transaction)
            if let day {
                try await transaction.execute(.unprepared("DROP TABLE IF EXISTS \(table)_\(Self.name(of: day).digits)"))
            } else {
                try await transaction.execute(.unprepared("TRUNCATE \(table)_default"))
            }
            return true
        }
    }

    // MARK: statements

    private func lock(in transaction: PostgresTransaction) async throws {
        try await transaction.execute(Self.lockProjection, Parameters { $0.append(projectionID) })
    }

    /// Limits the wait for the table's lock, because a session that waits for it blocks all later sessions.
    private func limitLockWait(in transaction: PostgresTransaction) async throws {
        try await transaction.execute(.unprepared("SET LOCAL lock_timeout = '500ms'"))
    }

    private func exists(_ name: String, on connection: PostgresConnection) async throws -> Bool {
        try await connection.execute(Self.tableExists, Parameters { $0.append(name) }).bool(0, 0)
    }

    private static func name(of day: Int32) -> (digits: String, date: String) {
        let date = String(Timestamp(microseconds: Int64(day) * 86_400_000_000).description.prefix(10))
        return (date.filter { $0 != "-" }, date)
    }

    private static let checkViolation = SQLState("23514")
    private static let lockProjection = Statement("SELECT 1 FROM projections WHERE id = $1 FOR NO KEY UPDATE")
    private static let tableExists = Statement("SELECT to_regclass($1) IS NOT NULL")
    private static let dayState = Statement(
        "SELECT to_regclass($1) IS NOT NULL, $2 - (clock_timestamp() AT TIME ZONE 'UTC')::date")
    private static let touchDay = Statement(
        """
        INSERT INTO processed_event_days (projection_id, event_day, last_written_at)
        VALUES ($1, coalesce($2, '-infinity'), clock_timestamp())
        ON CONFLICT (projection_id, event_day) DO UPDATE SET last_written_at = excluded.last_written_at
        """)
    /// No parked event is of the day. Its letter may be sent again at any time, and the event must not take effect
    /// twice. A day without a row of its own is in the default partition.
    private static let isUnused = """
        NOT EXISTS (
            SELECT FROM parked_events AS p
            WHERE p.projection_id = d.projection_id
                AND (p.event_day = d.event_day
                    OR d.event_day = '-infinity' AND p.event_day IS NOT NULL AND NOT EXISTS (
                        SELECT FROM processed_event_days AS own
                        WHERE own.projection_id = p.projection_id AND own.event_day = p.event_day)))
        """
    private static let oldDays = Statement(
        """
        SELECT nullif(event_day, '-infinity') FROM processed_event_days AS d
        WHERE projection_id = $1 AND last_written_at < clock_timestamp() - make_interval(days => $2)
            AND \(isUnused)
        ORDER BY event_day
        """)
    private static let forgetDay = Statement(
        """
        DELETE FROM processed_event_days AS d
        WHERE projection_id = $1 AND last_written_at < clock_timestamp() - make_interval(days => $2)
            AND event_day = coalesce($3, '-infinity') AND \(isUnused)
        """)
}
