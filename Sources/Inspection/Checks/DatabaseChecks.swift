internal import Migrations
internal import Postgres
internal import StreamCore

/// Checks whether the database accepts writes and has free connections.
struct DatabaseCheck: Check {
    let name = "database"

    func run(_ scene: CheckScene) async throws -> [Finding] {
        guard let connection = scene.connection else {
            return [
                Finding(
                    .critical, "the database is unreachable",
                    remedy: "start PostgreSQL, or set another database with --database")
            ]
        }
        let row = try await connection.execute(Self.query)
        let version = try row.string(0, 0)
        let (used, most) = (try row.int64(0, 2), try row.int64(0, 3))
        var findings = [Finding(.ok, "PostgreSQL \(version), \(used) of \(most) connections in use")]
        if try row.bool(0, 1) {
            findings = [
                Finding(
                    .note, "PostgreSQL \(version) is a standby and accepts no writes",
                    remedy: "also check the primary")
            ]
        }
        findings += Self.age(of: version, number: try row.int64(0, 4)).map { [$0] } ?? []
        if used * 10 > most * 8 {
            findings.append(
                Finding(
                    .warning, "\(used) of \(most) connections are in use",
                    remedy: "raise max_connections, or find the clients in pg_stat_activity"))
        }
        return findings
    }

    /// - Parameters:
    ///   - version: PostgreSQL's version as text.
    ///   - number: `server_version_num`, the major version times 10,000.
    /// - Returns: nil if Millrace works with the version.
    static func age(of version: String, number: Int64) -> Finding? {
        if number >= oldest * 10_000 { return nil }
        return Finding(
            .critical, "PostgreSQL \(version) is too old",
            remedy: "upgrade to PostgreSQL \(oldest) or later")
    }

    /// The oldest major version that Millrace works with.
    private static let oldest: Int64 = 14

    private static let query: Statement = """
        SELECT current_setting('server_version'), pg_is_in_recovery(),
            (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
            current_setting('max_connections')::bigint, current_setting('server_version_num')::bigint
        """
}

/// Checks whether this machine and the database have the same time. Retries, ages and retention depend on both clocks.
struct ClockCheck: Check {
    let name = "clock"
    /// The difference, in milliseconds, above which the check warns.
    static let limitMs: Int64 = 1_000

    func run(_ scene: CheckScene) async throws -> [Finding] {
        let connection = try scene.database()
        let before = Self.nowMs
        let theirs = try await connection.execute("SELECT clock_timestamp()").timestamp(0, 0).microseconds / 1_000
        return [Self.finding(before: before, theirs: theirs, after: Self.nowMs)]
    }

    private static var nowMs: Int64 { Timestamp.now.microseconds / 1_000 }

    /// Compares clocks. The database's time was read between `before` and `after`, so only a time outside this range is
    /// a difference.
    ///
    /// - Parameters:
    ///   - before: the time of this machine before the query, in milliseconds since 1970.
    ///   - theirs: the time of the database.
    ///   - after: the time of this machine after the query.
    static func finding(before: Int64, theirs: Int64, after: Int64) -> Finding {
        let difference = theirs < before ? theirs - before : max(theirs - after, 0)
        if abs(difference) <= limitMs {
            return Finding(.ok, "the database's clock differs by at most \(limitMs) ms from this machine's clock")
        }
        return Finding(
            .warning,
            "the database's clock is \(abs(difference)) ms \(difference > 0 ? "ahead of" : "behind") this machine's clock",
            remedy: "check that both machines run NTP: chronyc tracking")
    }
}

/// Checks whether the schema has the migrations that the programs need.
struct SchemaFilesCheck: Check {
    let name = "schema"

    func run(_ scene: CheckScene) async throws -> [Finding] {
        _ = try scene.database()
        if scene.expected.migrationSets.isEmpty {
            return [
                Finding(
                    .critical, "schema \(scene.postgres.schema) has no migrations of Millrace",
                    remedy: "millrace migrate up --daemon NAME for each daemon, or name another --schema")
            ]
        }
        let states = try await Migrator(scene.postgres).status(scene.expected.migrationSets)
        return Self.findings(states.map { ($0.description, $0.set, $0.state) })
    }

    static func findings(_ states: [(text: String, set: String, state: MigrationStatus.State)]) -> [Finding] {
        var findings: [Finding] = []
        let missing = states.filter { $0.state == .missing }
        if !missing.isEmpty {
            let sets = Set(missing.map(\.set)).sorted().map { " --set \($0)" }.joined()
            findings.append(
                Finding(
                    .critical, "missing: " + missing.map(\.text).joined(separator: ", "),
                    remedy: "millrace migrate up\(sets)"))
        }
        for changed in states where changed.state == .changed {
            findings.append(
                Finding(
                    .warning, "\(changed.text): its file differs from the applied one",
                    remedy: "find the release that was deployed, and restore the applied file"))
        }
        let unknown = states.filter { $0.state == .unknown }
        if !unknown.isEmpty {
            findings.append(
                Finding(
                    .note,
                    "migrations that are newer than this program: " + unknown.map(\.text).joined(separator: ", "),
                    remedy: "use the `millrace` of the newest deployed release"))
        }
        let applied = states.count { $0.state == .applied }
        return findings.isEmpty ? [Finding(.ok, "all \(applied) migrations are applied")] : findings
    }
}

/// Checks which programs are connected.
struct ProgramsCheck: Check {
    let name = "programs"

    func run(_ scene: CheckScene) async throws -> [Finding] {
        let connection = try scene.database()
        let rows = try await connection.execute(Self.connections)
        var counts: [String: Int64] = [:]
        for row in 0..<rows.rowCount { counts[try rows.string(row, 0)] = try rows.int64(row, 1) }
        let required = scene.expected.programs.map { program in
            counts[program].map { Self.connected(program, $0) } ?? Self.absent(program, .warning)
        }
        let optional = scene.expected.optionalPrograms.map { program in
            counts[program].map { Self.connected(program, $0) } ?? Self.absent(program, .note)
        }
        return required + optional
    }

    private static func connected(_ program: String, _ count: Int64) -> Finding {
        Finding(.ok, "\(program): \(Quantity.text(count, "connection"))")
    }

    private static func absent(_ program: String, _ severity: Severity) -> Finding {
        Finding(severity, "\(program) is not connected", remedy: "start \(program), if it should run")
    }

    /// PostgreSQL shows every user the names of all connections.
    private static let connections: Statement = """
        SELECT application_name, count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name IS NOT NULL GROUP BY application_name
        """
}
