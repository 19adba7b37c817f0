internal import Outbox
internal import Postgres

/// Checks whether the outbox is published.
struct OutboxBacklogCheck: Check {
    let name = "outbox"
    /// The maximum number of rows that are counted.
    static let countLimit: Int64 = 100_000
    /// The age of the oldest row, in seconds, from which it is a problem.
    static let limitSeconds: Int64 = 60
    /// The number of rows from which they are a problem, if their age is unknown.
    static let limitRows: Int64 = 10_000

    func run(_ scene: CheckScene) async throws -> [Finding] {
        let connection = try scene.database()
        guard
            let outbox = try await OutboxTable.find(
                scene.expected.outbox, failed: scene.expected.failedOutbox, on: connection)
        else {
            throw try await scene.reasonOfMissing(scene.expected.outbox)
        }
        let row = try await connection.execute(
            .unprepared(
                """
                SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::bigint
                FROM (SELECT \(outbox.occurredAt ?? "NULL::timestamptz") AS at FROM \(outbox.name)
                    WHERE \(outbox.isWaiting) ORDER BY \(outbox.position) LIMIT \(Self.countLimit)) AS waiting
                """))
        let age = outbox.occurredAt == nil ? nil : try row.int64(0, 1)
        return [Self.finding(rows: try row.int64(0, 0), ageSeconds: age)]
    }

    /// - Parameter ageSeconds: nil if the table does not say when events happened, as in Debezium's layout.
    static func finding(rows: Int64, ageSeconds: Int64?) -> Finding {
        if rows == 0 { return Finding(.ok, "empty") }
        let count = rows >= countLimit ? "\(rows) rows or more" : Quantity.text(rows, "row")
        let remedy = "check that outbox-relay runs and reaches Kafka; then run `millrace outbox failed list`"
        guard let ageSeconds else {
            let text = "\(count) \(rows == 1 ? "waits" : "wait"); the table does not say for how long"
            return rows < limitRows ? Finding(.ok, text) : Finding(.warning, text, remedy: remedy)
        }
        let text = "\(count) \(rows == 1 ? "waits" : "wait"), the oldest for \(Age.text(seconds: ageSeconds))"
        return ageSeconds < limitSeconds ? Finding(.ok, text) : Finding(.critical, text, remedy: remedy)
    }
}

/// Checks whether the outbox's dead rows are removed.
struct OutboxDeadRowsCheck: Check {
    let name = "outbox dead rows"
    /// The number of dead rows from which the check warns.
    static let limit: Int64 = 1_000_000

    func run(_ scene: CheckScene) async throws -> [Finding] {
        let rows = try await scene.database().execute(
            Self.query, Parameters { $0.append(SQLIdentifier.quoted(scene.expected.outbox)) })
        guard rows.rowCount > 0 else { throw try await scene.reasonOfMissing(scene.expected.outbox) }
        let (dead, vacuumed) = (try rows.int64(0, 0), try rows.optionalInt64(0, 1))
        let last = vacuumed.map { "vacuumed \(Age.text(seconds: $0)) ago" } ?? "never vacuumed"
        if dead < Self.limit { return [Finding(.ok, "\(dead) dead rows, \(last)")] }
        return [
            Finding(
                .warning, "\(dead) dead rows, \(last)",
                remedy: "end old and prepared transactions, drop unused replication slots; then VACUUM "
                    + SQLIdentifier.quoted(scene.expected.outbox))
        ]
    }

    private static let query: Statement = """
        SELECT n_dead_tup, extract(epoch FROM clock_timestamp() - greatest(last_vacuum, last_autovacuum))::bigint
        FROM pg_stat_user_tables WHERE relid = to_regclass($1)
        """
}

/// Checks for rows that cannot be published. Later rows of their keys wait.
struct FailedRowsCheck: Check {
    let name = "outbox failed rows"

    func run(_ scene: CheckScene) async throws -> [Finding] {
        let table = SQLIdentifier.quoted(scene.expected.failedOutbox)
        let count = try await scene.database().execute(
            .unprepared("SELECT count(*) FROM \(table) WHERE state = 'failed'")
        ).int64(0, 0)
        if count == 0 { return [Finding(.ok, "none")] }
        return [
            Finding(
                .critical, "\(Quantity.text(count, "row")) cannot be published; later rows of their keys wait",
                remedy: "millrace outbox failed list")
        ]
    }
}

/// Checks for keys whose events wait behind an event that could not be applied.
struct BlockedKeysCheck: Check {
    let name = "blocked keys"

    func run(_ scene: CheckScene) async throws -> [Finding] {
        let connection = try scene.database()
        let rows = try await connection.execute(Self.query)
        if rows.rowCount == 0 { return [Finding(.ok, "none")] }
        let handled = try await Self.consumersWithLetters(connection)
        return try (0..<rows.rowCount).map { row in
            let consumer = try rows.string(row, 0)
            let (events, keys) = (try rows.int64(row, 2), try rows.int64(row, 3))
            return Finding(
                .warning,
                "\(consumer) v\(try rows.int32(row, 1)): \(Quantity.text(events, "event")) of "
                    + "\(Quantity.text(keys, "key")) \(events == 1 ? "is" : "are") parked, the oldest for "
                    + Age.text(seconds: try rows.int64(row, 4)),
                remedy: handled.map { $0.contains(consumer) } ?? true
                    ? "millrace dead-letters groups"
                    : "dead-letter-handler has no letter of it: check that the handler runs and that its setting "
                        + "letters.consumers names \(consumer)")
        }
    }

    /// - Returns: nil if the letters are not in this database.
    private static func consumersWithLetters(_ connection: PostgresConnection) async throws -> Set<String>? {
        let exists = try await connection.execute("SELECT to_regclass('dead_letter_groups') IS NOT NULL")
        guard try exists.bool(0, 0) else { return nil }
        let rows = try await connection.execute("SELECT DISTINCT consumer FROM dead_letter_groups")
        return Set(try (0..<rows.rowCount).map { try rows.string($0, 0) })
    }

    private static let query: Statement = """
        SELECT p.name, p.version, count(*), count(DISTINCT (e.topic, e.sequence)),
            extract(epoch FROM clock_timestamp() - min(e.parked_at))::bigint
        FROM parked_events AS e JOIN projections AS p ON p.id = e.projection_id
        WHERE e.reason <> 'discarded' GROUP BY p.name, p.version ORDER BY p.name, p.version
        """
}

/// Checks for partitions whose circuit breaker is open.
struct CircuitBreakersCheck: Check {
    let name = "circuit breakers"

    func run(_ scene: CheckScene) async throws -> [Finding] {
        let rows = try await scene.database().execute(Self.query)
        var findings: [Finding] = []
        for row in 0..<rows.rowCount {
            findings.append(
                Finding(
                    .critical,
                    "\(try rows.string(row, 0)) v\(try rows.int32(row, 1)): open in \(Quantity.text(try rows.int64(row, 2), "partition")) for "
                        + Age.text(seconds: try rows.int64(row, 3)),
                    remedy:
                        "millrace projection breakers list; correct the release, or release them if the events are bad"
                ))
        }
        return findings.isEmpty ? [Finding(.ok, "all closed")] : findings
    }

    private static let query: Statement = """
        SELECT p.name, p.version, count(DISTINCT (b.topic, b.partition)),
            extract(epoch FROM clock_timestamp() - min(b.opened_at))::bigint
        FROM circuit_breakers AS b JOIN projections AS p ON p.id = b.projection_id
        WHERE b.opened_at IS NOT NULL GROUP BY p.name, p.version ORDER BY p.name, p.version
        """
}

/// Checks for open dead letters.
struct OpenLettersCheck: Check {
    let name = "dead letters"

    func run(_ scene: CheckScene) async throws -> [Finding] {
        let rows = try await scene.database().execute(Self.query)
        var findings: [Finding] = []
        for row in 0..<rows.rowCount {
            findings.append(
                Finding(
                    .warning,
                    "\(try rows.string(row, 0)): \(try rows.int64(row, 1)) open, in \(Quantity.text(try rows.int64(row, 2), "group")), the last "
                        + "\(Age.text(seconds: try rows.int64(row, 3))) ago",
                    remedy: "millrace dead-letters groups --consumer \(try rows.string(row, 0))"))
        }
        return findings.isEmpty ? [Finding(.ok, "none is open")] : findings
    }

    private static let query: Statement = """
        SELECT consumer, sum(pending + retrying)::bigint, count(*),
            extract(epoch FROM clock_timestamp() - max(last_seen))::bigint
        FROM dead_letter_groups WHERE pending + retrying > 0 GROUP BY consumer ORDER BY consumer
        """
}
