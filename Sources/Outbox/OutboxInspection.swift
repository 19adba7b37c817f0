public import Postgres

/// The checks of a relay before it starts: whether the tables match the configuration, whether the relay has the
/// necessary privileges, and what an operator should know.
struct OutboxInspection: Sendable {
    let layout: RowLayout
    let statements: OutboxStatements
    /// Notes about limitations.
    let notes: [String]

    /// Runs the checks.
    ///
    /// - Throws: ``OutboxRelayError`` if the relay cannot work with these tables.
    static func of(
        _ configuration: OutboxRelayConfiguration, shard: Int, on connection: PostgresConnection
    ) async throws -> OutboxInspection {
        let outbox = try await Table(configuration.table, on: connection)
        let position = RowLayout(configuration).position
        try checkColumns(of: outbox, configuration)
        try await checkFailedTable(configuration, on: connection)
        try await checkRights(configuration, on: connection)
        let layout = RowLayout(configuration, types: outbox.types)
        var notes = try await notes(on: position, of: configuration, on: connection)
        if !outbox.notNull.contains(position) {
            notes.append(
                "column \(position) of \(configuration.table) may be NULL, and the relay never reads a row without a position"
            )
        }
        if case .debezium = configuration.layout {
            notes += try await debeziumNotes(configuration, on: connection)
        }
        return OutboxInspection(
            layout: layout, statements: OutboxStatements(configuration, layout: layout, shard: shard), notes: notes)
    }

    /// The columns of a table.
    private struct Table {
        var types: [String: String] = [:]
        var notNull: Set<String> = []

        init(_ name: String, on connection: PostgresConnection) async throws {
            let result = try await connection.execute(
                .unprepared(
                    """
                    SELECT attname::text, format_type(atttypid, NULL), attnotnull FROM pg_attribute
                    WHERE attrelid = \(OutboxInspection.regclass(name)) AND attnum > 0 AND NOT attisdropped
                    """))
            for row in 0..<result.rowCount {
                let column = try result.string(row, 0)
                types[column] = try result.string(row, 1)
                if try result.bool(row, 2) { notNull.insert(column) }
            }
        }
    }

    private static func regclass(_ table: String) -> String {
        "\(SQLText.quoted(SQLIdentifier.quoted(table)))::regclass"
    }

    private static func checkColumns(of outbox: Table, _ configuration: OutboxRelayConfiguration) throws {
        let layout = RowLayout(configuration)
        let missing = layout.required.filter { outbox.types[$0] == nil }
        guard missing.isEmpty else {
            let advice = missing.contains(layout.position) ? layout.adoption.map { "; \($0)" } ?? "" : ""
            throw lacks(configuration.table, missing, advice)
        }
        if outbox.types[layout.position] != "bigint" {
            throw OutboxRelayError(
                .database, "column \(layout.position) of table \(configuration.table) must be of type bigint")
        }
    }

    private static func checkFailedTable(
        _ configuration: OutboxRelayConfiguration, on connection: PostgresConnection
    ) async throws {
        let failed = try await Table(configuration.failedTable, on: connection)
        let missing = (FailedColumn.bookkeeping + FailedColumn.allCases.map(\.rawValue)).filter {
            failed.types[$0] == nil
        }
        let advice = "; it must have the columns of outbox_failed, which the migration set outbox creates"
        if !missing.isEmpty { throw lacks(configuration.failedTable, missing, advice) }
        let history = try await Table(configuration.historyTable, on: connection)
        let absent = ["id", "at", "action", "actor", "reason", "row"].filter { history.types[$0] == nil }
        if !absent.isEmpty { throw lacks(configuration.historyTable, absent, advice) }
    }

    private static func lacks(_ table: String, _ columns: [String], _ advice: String) -> OutboxRelayError {
        OutboxRelayError(
            .database,
            "table \(table) lacks the column\(columns.count > 1 ? "s" : "") " + columns.joined(separator: ", ")
                + advice)
    }

    /// Checks the privileges. A relay that may read but not remove rows would publish the same rows again and again.
    private static func checkRights(
        _ configuration: OutboxRelayConfiguration, on connection: PostgresConnection
    ) async throws {
        let outbox = regclass(configuration.table)
        let failed = regclass(configuration.failedTable)
        let history = regclass(configuration.historyTable)
        var rights = [
            ("SELECT on \(configuration.table)", "has_table_privilege(\(outbox), 'SELECT')"),
            ("DELETE on \(configuration.table)", "has_table_privilege(\(outbox), 'DELETE')"),
        ]
        for right in ["SELECT", "INSERT", "UPDATE"] {
            rights.append(("\(right) on \(configuration.failedTable)", "has_table_privilege(\(failed), '\(right)')"))
        }
        rights.append(("INSERT on \(configuration.historyTable)", "has_table_privilege(\(history), 'INSERT')"))
        if configuration.retention == .keep {
            rights.append(
                (
                    "UPDATE (published_at) on \(configuration.table)",
                    "has_column_privilege(\(outbox), 'published_at', 'UPDATE')"
                ))
        }
        let result = try await connection.execute(
            .unprepared("SELECT " + rights.map(\.1).joined(separator: ", ")))
        var missing: [String] = []
        for (index, right) in rights.enumerated() where try !result.bool(0, index) { missing.append(right.0) }
        if !missing.isEmpty {
            throw OutboxRelayError(
                .database, "the relay's database user lacks these rights: \(missing.joined(separator: ", "))")
        }
    }

    private static func notes(
        on position: String, of configuration: OutboxRelayConfiguration, on connection: PostgresConnection
    ) async throws -> [String] {
        let table = regclass(configuration.table)
        let result = try await connection.execute(
            .unprepared(
                """
                SELECT EXISTS (
                    SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
                    WHERE indrelid = \(table) AND indisunique AND indisvalid AND indpred IS NULL AND indnkeyatts = 1
                        AND attname = \(SQLText.quoted(position))
                ), row_security_active(\(table))
                """))
        var notes: [String] = []
        if try !result.bool(0, 0) {
            notes.append(
                "\(configuration.table) has no unique index on \(position), so rows with the same position are removed together"
            )
        }
        if try result.bool(0, 1) {
            notes.append(
                "row security is active on \(configuration.table), so rows that the relay's user cannot see stay in the table"
            )
        }
        return notes
    }

    /// A note that the relay cannot see rows that are deleted by the transaction that inserts them. Debezium reads the
    /// write-ahead log, and its users delete rows in this way to keep the table empty. Empty if the trigger of
    /// `millrace_keep_outbox_rows` exists.
    private static func debeziumNotes(
        _ configuration: OutboxRelayConfiguration, on connection: PostgresConnection
    ) async throws -> [String] {
        let result = try await connection.execute(
            .unprepared(
                """
                SELECT EXISTS (
                    SELECT FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
                    WHERE tgrelid = \(regclass(configuration.table)) AND proname = 'millrace_keep_outbox_row'
                        AND tgenabled IN ('O', 'A')
                ), coalesce(pg_stat_get_tuples_inserted(\(regclass(configuration.table))), 0),
                coalesce(pg_stat_get_tuples_deleted(\(regclass(configuration.table))), 0)
                """))
        if try result.bool(0, 0) { return [] }
        return [
            """
            the relay does not see a row that is inserted and deleted by the same transaction, as is usual with \
            Debezium (so far \(try result.int64(0, 1)) rows were inserted into \(configuration.table) and \
            \(try result.int64(0, 2)) deleted, also by the relay); if your services do so, run: SELECT \
            millrace_keep_outbox_rows('\(configuration.table)')
            """
        ]
    }
}

extension OutboxRelay {
    /// Checks whether the tables match the configuration.
    ///
    /// - Returns: notes about limitations.
    /// - Throws: ``OutboxRelayError`` if the relay cannot work; `PostgresError` if a query fails.
    public static func check(
        _ configuration: OutboxRelayConfiguration, on connection: PostgresConnection
    ) async throws -> [String] {
        try await OutboxInspection.of(configuration, shard: 0, on: connection).notes
    }
}
