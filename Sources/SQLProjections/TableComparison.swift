internal import Postgres

/// The difference between a table of a version and the expected table.
public struct TableComparison: Sendable, Hashable {
    public let table: String
    /// The number of rows in the version.
    public let rows: Int64
    /// The number of rows that only the version has.
    public let surplus: Int64
    /// The number of rows that the version lacks.
    public let missing: Int64
    /// Some of the missing rows.
    public let missingExamples: [String]
    /// Some of the surplus rows.
    public let surplusExamples: [String]

    /// Some different rows, for operators: `-` before missing rows, `+` before surplus rows.
    public var examples: [String] { missingExamples.map { "- " + $0 } + surplusExamples.map { "+ " + $0 } }

    public var isEqual: Bool { surplus == 0 && missing == 0 }

    private static let exampleCount = 3

    /// Compares the tables of a schema with those of the same names in another schema, row by row.
    ///
    /// - Parameter ignored: columns, as `table.column`, that may differ.
    static func all(
        of schema: String, with expected: String, ignoring ignored: [String], in transaction: PostgresTransaction
    ) async throws(PostgresError) -> [TableComparison] {
        let (query, parameters) = ComparedTables.query(schema, ignoring: ignored)
        let tables = try ComparedTables.read(try await transaction.execute(query, parameters))
        var comparisons: [TableComparison] = []
        for table in tables {
            let columns = table.line + " AS line"
            let name = SQLIdentifier.quoted(table.name)
            let answer = try await transaction.execute(
                .unprepared(
                    """
                    WITH kept AS MATERIALIZED (SELECT \(columns) FROM \(SQLIdentifier.quoted(schema)).\(name)),
                    wanted AS MATERIALIZED (SELECT \(columns) FROM \(SQLIdentifier.quoted(expected)).\(name)),
                    surplus AS MATERIALIZED (TABLE kept EXCEPT ALL TABLE wanted),
                    missing AS MATERIALIZED (TABLE wanted EXCEPT ALL TABLE kept)
                    SELECT (SELECT count(*) FROM kept), (SELECT count(*) FROM surplus), (SELECT count(*) FROM missing),
                        (SELECT string_agg(replace(left(line, 300), E'\\n', ' '), E'\\n')
                            FROM (SELECT line FROM missing LIMIT \(exampleCount)) AS m),
                        (SELECT string_agg(replace(left(line, 300), E'\\n', ' '), E'\\n')
                            FROM (SELECT line FROM surplus LIMIT \(exampleCount)) AS s)
                    """))
            comparisons.append(
                TableComparison(
                    table: table.name, rows: try answer.int64(0, 0), surplus: try answer.int64(0, 1),
                    missing: try answer.int64(0, 2),
                    missingExamples: Self.lines(try answer.optionalString(0, 3)),
                    surplusExamples: Self.lines(try answer.optionalString(0, 4))))
        }
        return comparisons
    }

    private static func lines(_ text: String?) -> [String] { text?.split(separator: "\n").map(String.init) ?? [] }
}
