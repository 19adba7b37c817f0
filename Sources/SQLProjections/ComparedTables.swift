internal import Postgres

/// The tables of a version whose rows are compared, and their relevant columns.
enum ComparedTables {
    struct Table {
        let name: String
        /// An SQL expression for a row as one text.
        let line: String
    }

    /// A query for the tables of a schema.
    ///
    /// - Parameter ignored: columns, as `table.column`, that are not compared.
    static func query(_ schema: String, ignoring ignored: [String]) -> (Statement, Parameters) {
        (
            .unprepared(
                """
                SELECT c.relname::text, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                WHERE c.relnamespace = $1::text::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                    AND c.relname || '.' || a.attname <> ALL ($2::text[])
                GROUP BY 1 ORDER BY 1
                """),
            Parameters {
                $0.append(SQLIdentifier.quoted(schema))
                var names = TextArray()
                for name in ignored { names.append(name) }
                $0.append(names)
            }
        )
    }

    /// Reads the result, ordered by the tables' names.
    static func read(_ found: QueryResult) throws(PostgresError) -> [Table] {
        var tables: [Table] = []
        for row in 0..<found.rowCount {
            tables.append(
                Table(name: try found.string(row, 0), line: "ROW(\(try found.string(row, 1)))::text"))
        }
        return tables
    }
}
