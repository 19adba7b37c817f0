internal import Postgres

/// Formats ages for people.
enum Quantity {
    /// For example `1 row` or `12 rows`.
    static func text(_ count: Int64, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
}

enum Age {
    /// For example `3d 4h` or `5m 10s`.
    static func text(seconds: Int64) -> String {
        switch max(seconds, 0) {
        case ..<60: "\(max(seconds, 0))s"
        case ..<3_600: "\(seconds / 60)m \(seconds % 60)s"
        case ..<86_400: "\(seconds / 3_600)h \(seconds / 60 % 60)m"
        default: "\(seconds / 86_400)d \(seconds / 3_600 % 24)h"
        }
    }
}

/// Checks for old open transactions. While they are open, dead rows cannot be removed, and the relay keeps asking for
/// gaps in the outbox.
struct PinnedTransactionsCheck: Check {
    let name = "open transactions"
    /// The age, in seconds, above which a transaction is reported.
    let limitSeconds: Int64

    init(limitSeconds: Int64 = 60) {
        self.limitSeconds = limitSeconds
    }

    func run(_ scene: CheckScene) async throws -> [Finding] {
        let connection = try scene.database()
        let rows = try await connection.execute(Self.query, Parameters { $0.append(limitSeconds) })
        var findings: [Finding] = []
        for row in 0..<rows.rowCount {
            let (pid, seconds) = (try rows.int32(row, 0), try rows.int64(row, 1))
            let who = "\(try rows.string(row, 2)), \(try rows.string(row, 3)), \(try rows.string(row, 4))"
            findings.append(
                Finding(
                    .warning, "pid \(pid) has a transaction open for \(Age.text(seconds: seconds)) (\(who))",
                    remedy: "end it in the program that began it, or run: SELECT pg_terminate_backend(\(pid))"))
        }
        if try await !connection.execute(Self.seesAll).bool(0, 0) {
            findings.append(
                Finding(
                    .note, "not checked for other roles, whose transactions this user cannot see",
                    remedy: "GRANT pg_monitor TO the user that `millrace doctor` connects as"))
        }
        return findings.isEmpty ? [Finding(.ok, "none is older than \(Age.text(seconds: limitSeconds))")] : findings
    }

    private static let seesAll: Statement = "SELECT pg_has_role('pg_read_all_stats', 'USAGE')"

    private static let query: Statement = """
        SELECT pid, extract(epoch FROM clock_timestamp() - xact_start)::bigint, coalesce(usename::text, '?'),
            coalesce(nullif(application_name, ''), 'no application name'), coalesce(state, '?')
        FROM pg_stat_activity
        WHERE xact_start < clock_timestamp() - $1 * interval '1 second' AND pid <> pg_backend_pid()
            AND backend_type = 'client backend' AND (datname = current_database() OR backend_xmin IS NOT NULL)
        ORDER BY xact_start LIMIT 10
        """
}

/// Checks for old prepared transactions. They keep locks and dead rows even after a restart.
struct PreparedTransactionsCheck: Check {
    let name = "prepared transactions"
    let limitSeconds: Int64

    init(limitSeconds: Int64 = 60) {
        self.limitSeconds = limitSeconds
    }

    func run(_ scene: CheckScene) async throws -> [Finding] {
        let rows = try await scene.database().execute(Self.query, Parameters { $0.append(limitSeconds) })
        var findings: [Finding] = []
        for row in 0..<rows.rowCount {
            let gid = try rows.string(row, 0)
            findings.append(
                Finding(
                    .warning,
                    """
                    \(gid) of \(try rows.string(row, 2)) has been prepared for \
                    \(Age.text(seconds: try rows.int64(row, 1)))
                    """,
                    remedy: "ask its transaction manager, then COMMIT PREPARED or ROLLBACK PREPARED"))
        }
        return findings.isEmpty ? [Finding(.ok, "none is older than \(Age.text(seconds: limitSeconds))")] : findings
    }

    private static let query: Statement = """
        SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::bigint, owner::text FROM pg_prepared_xacts
        WHERE database = current_database() AND prepared < clock_timestamp() - $1 * interval '1 second'
        ORDER BY prepared LIMIT 10
        """
}

/// Checks for unused replication slots. They retain write-ahead log until the disk is full.
struct ReplicationSlotsCheck: Check {
    let name = "replication slots"
    /// The size of the retained write-ahead log, in bytes, above which an active slot is reported.
    static let limitBytes: Int64 = 1 << 30

    func run(_ scene: CheckScene) async throws -> [Finding] {
        let rows = try await scene.database().execute(Self.query)
        var findings: [Finding] = []
        for row in 0..<rows.rowCount {
            let (slot, active, kept) = (try rows.string(row, 0), try rows.bool(row, 1), try rows.int64(row, 2))
            guard !active || kept > Self.limitBytes else { continue }
            findings.append(
                Finding(
                    .warning,
                    "\(slot) is \(active ? "behind" : "not in use") and retains \(kept >> 20) MiB of write-ahead log",
                    remedy: active
                        ? "check why its consumer is behind"
                        : "if it is not needed: SELECT pg_drop_replication_slot('\(slot)')"))
        }
        return findings.isEmpty ? [Finding(.ok, "\(rows.rowCount) slots, all in use")] : findings
    }

    private static let query: Statement = """
        SELECT slot_name::text, active, coalesce(CASE WHEN pg_is_in_recovery() THEN 0
            ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) END, 0)::bigint
        FROM pg_replication_slots ORDER BY slot_name
        """
}
