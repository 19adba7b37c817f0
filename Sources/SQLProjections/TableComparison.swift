internal import Postgres

/// What one table of a version has, and what it should have.
public struct TableComparison: Sendable, Hashable {
    public let table: String
    /// Rows that the version has.
    public let rows: Int64
    /// Rows that the version has and should not have.
    public let surplus: Int64
    /// Rows that the version should have and has not.
    public let missing: Int64
    /// Some of the rows that are missing.
    public let missingExamples: [String]
    /// Some of the rows that should not be there.
    public let surplusExamples: [String]

    /// Some rows that differ, for a person to read: `-` before what is missing, `+` before what should not be there.
    public var examples: [String] { missingExamples.map { "- " + $0 } + surplusExamples.map { "+ " + $0 } }

    public var isEqual: Bool { surplus == 0 && missing == 0 }

    private static let exampleCount = 3

    /// Compares the tables of one schema with those of the same names in another one, row by row.
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
