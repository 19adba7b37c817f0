internal import Postgres

/// Checks how much disk the dead rows of a table hold, for all tables of the programs and of read models' versions.
struct DeadRowsCheck: Check {
    let name = "dead rows"
    /// The size, in bytes, from which the check warns. The alert MillraceDeadRows has the same limit.
    static let limitBytes: Int64 = 1_000_000_000

    /// The size of a table's file and PostgreSQL's estimates of its rows.
    struct Table {
        let name: String
        let bytes: Int64
        let dead: Int64
        let live: Int64

        /// The part of the file that dead rows hold, if all rows are of one size.
        var deadBytes: Int64 { dead > 0 ? Int64(Double(bytes) * Double(dead) / Double(dead + live)) : 0 }
    }

    func run(_ scene: CheckScene) async throws -> [Finding] {
        var schemas = TextArray()
        for schema in try await scene.schemas() { schemas.append(schema) }
        let rows = try await scene.database().execute(Self.query, Parameters { $0.append(schemas) })
        return Self.findings(
            try (0..<rows.rowCount).map { row in
                Table(
                    name: try rows.string(row, 0), bytes: try rows.int64(row, 1), dead: try rows.int64(row, 2),
                    live: try rows.int64(row, 3))
            })
    }

    static func findings(_ tables: [Table]) -> [Finding] {
        let findings = tables.filter { $0.deadBytes >= limitBytes }.map { table in
            Finding(
                .warning, "\(table.deadBytes >> 20) of \(table.bytes >> 20) MiB of \(table.name) are dead rows",
                remedy: "end old and prepared transactions, drop unused replication slots; then VACUUM \(table.name)")
        }
        if !findings.isEmpty { return findings }
        let dead = tables.map(\.deadBytes).reduce(0, +)
        return [Finding(.ok, "\(dead >> 20) MiB in \(tables.count) tables")]
    }

    /// Partitions are tables of their own here.
    private static let query: Statement = """
        SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), pg_relation_size(c.oid),
            pg_stat_get_dead_tuples(c.oid), pg_stat_get_live_tuples(c.oid)
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY($1) AND c.relkind = 'r' ORDER BY 1
        """
}
