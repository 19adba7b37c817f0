public import Postgres
internal import SQLText
internal import StreamCore
internal import WireJSON

/// A query that a database can run, with the schemas of its tables and the types of its columns.
public struct PreparedQuery: Sendable {
    public let query: SQLQuery
    /// The schemas of the read models, in the order of the query's declaration.
    public let schemas: [String]
    private let enter: (Statement, Parameters)
    /// The types of ``SQLQuery/order``, in SQL's notation.
    private let keyTypes: [String]

    /// Describes the query by PostgreSQL, without running it.
    ///
    /// - Parameters:
    ///   - query: the query.
    ///   - schemas: the schemas of its read models.
    ///   - role: the role of the query; nil for the session's role.
    ///   - connection: must not be in a transaction.
    /// - Throws: ``InvalidFolder`` with PostgreSQL's errors for the query; `PostgresError`.
    public init(
        _ query: SQLQuery, schemas: [String], role: String?, on connection: PostgresConnection
    ) async throws {
        self.query = query
        self.schemas = schemas
        let enter = Self.enter(query, schemas, role)
        self.enter = enter
        var nothing = Parameters()
        for parameter in query.parameters {
            nothing.appendNull(parameter.isList ? parameter.kind.arrayType : parameter.kind.type)
        }
        let prefix = "SELECT * FROM ("
        let types: [String?]
        do {
            types = try await connection.withTransaction { transaction in
                _ = try await transaction.pipeline([enter])
                let columns = try await transaction.execute(
                    .unprepared(prefix + query.body.text + "\n) AS q LIMIT 0"), nothing)
                return try await Self.keyTypes(query, columns, transaction)
            }
        } catch let error as PostgresError where error.kind != .transient {
            var text = error.message
            if let state = error.sqlState { text += " (SQLSTATE \(state))" }
            if let hint = error.hint { text += "; hint: \(hint)" }
            let place = query.body.place(ofCharacter: error.position.map { $0 - 1 - prefix.unicodeScalars.count })
            throw InvalidFolder([FolderProblem(text, at: place)])
        }
        keyTypes = types.compactMap(\.self)
    }

    /// Makes the transaction read-only, and sets timeout, search path and role. Plans are made for the actual values.
    private static func enter(_ query: SQLQuery, _ schemas: [String], _ role: String?) -> (Statement, Parameters) {
        let path = (schemas.map(SQLIdentifier.quoted) + ["public"]).joined(separator: ", ")
        let settings = """
            SELECT set_config('search_path', $1, true), set_config('statement_timeout', $2, true), \
            set_config('transaction_read_only', 'on', true), set_config('TimeZone', 'UTC', true), \
            set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_bitmapscan', 'on', true)
            """
        return (
            Statement(settings + (role == nil ? "" : ", set_config('role', $3, true)")),
            Parameters {
                $0.append(path)
                $0.append(String(query.timeoutMs))
                if let role { $0.append(role) }
            }
        )
    }

    /// The types of the columns that order the pages. It also checks the columns in the header.
    private static func keyTypes(
        _ query: SQLQuery, _ columns: QueryResult, _ transaction: PostgresTransaction
    ) async throws -> [String?] {
        let names = (0..<columns.columnCount).map { columns.columnName($0) }
        var problems: [FolderProblem] = []
        if let name = names.first(where: { name in names.count { $0 == name } > 1 }) {
            problems.append(FolderProblem("two columns are named \(name)", at: query.body.place))
        }
        for name in query.order.map(\.name) + [query.versionColumn].compactMap(\.self) where !names.contains(name) {
            problems.append(
                FolderProblem(
                    "the header names the column \(name), which the query does not have", at: query.place))
        }
        if let name = query.versionColumn, let column = columns.column(named: name),
            ![.int8, .int4, .int2].contains(columns.type(ofColumn: column))
        {
            problems.append(FolderProblem("the version column \(name) is not an integer", at: query.place))
        }
        guard problems.isEmpty else { throw InvalidFolder(problems) }
        var types: [String?] = []
        for column in query.order {
            guard let index = columns.column(named: column.name) else { continue }
            let found = try await transaction.execute(
                .unprepared("SELECT format_type($1::bigint::oid, NULL)"),
                Parameters { $0.append(Int64(columns.type(ofColumn: index).oid)) })
            types.append(try found.string(0, 0))
        }
        return types
    }

    // MARK: a request

    /// The statements that answer a request, for one transaction. Pass the results to ``page(of:for:)``.
    public func statements(for request: QueryRequest) throws(PostgresError) -> [(Statement, Parameters)] {
        var parameters = Parameters()
        for (parameter, argument) in zip(query.parameters, request.arguments) {
            try argument.append(as: parameter.kind, isList: parameter.isList, to: &parameters)
        }
        var columns = ["row_to_json(q)::text"] + query.order.map { "q.\(SQLIdentifier.quoted($0.name))::text" }
        if let version = query.versionColumn { columns.append("q.\(SQLIdentifier.quoted(version))::bigint") }
        var sql = "SELECT \(columns.joined(separator: ", ")) FROM (\(query.body.text)\n) AS q"
        if let position = request.position {
            var keys = TextArray()
            for key in position.keys { keys.append(key) }
            parameters.append(keys)
            sql += " WHERE " + behind("$\(parameters.count)")
        }
        if !query.order.isEmpty {
            let order = query.order.map { "q.\(SQLIdentifier.quoted($0.name))\($0.isDescending ? " DESC" : "")" }
            sql += " ORDER BY " + order.joined(separator: ", ")
        }
        // One more row shows whether there is a next page.
        sql += " LIMIT \(request.limit + 1)"
        return [enter, (.unprepared(sql), parameters)]
    }

    /// The condition for rows after a position.
    ///
    /// - Parameter keys: the parameter with the texts of the position.
    private func behind(_ keys: String) -> String {
        let names = query.order.map { "q.\(SQLIdentifier.quoted($0.name))" }
        let values = keyTypes.indices.map { "((\(keys)::text[])[\($0 + 1)])::\(keyTypes[$0])" }
        let isDescending = query.order.map(\.isDescending)
        if Set(isDescending).count == 1 {
            let list = "(\(names.joined(separator: ", "))) \(isDescending[0] ? "<" : ">")"
            return "\(list) (\(values.joined(separator: ", ")))"
        }
        // If the columns have different directions: equal up to one column, and behind it in that column.
        let cases = names.indices.map { index in
            let equal = (0..<index).map { "\(names[$0]) = \(values[$0])" }
            let last = "\(names[index]) \(isDescending[index] ? "<" : ">") \(values[index])"
            return "(\((equal + [last]).joined(separator: " AND ")))"
        }
        return "(\(cases.joined(separator: " OR ")))"
    }

    /// Creates the answer from the rows.
    ///
    /// - Throws: ``QueryFailure`` if the next page has no valid cursor; `PostgresError`.
    public func page(of results: [QueryResult], for request: QueryRequest) throws -> QueryPage {
        guard let rows = results.last else { throw PostgresError(.decoding, "no result") }
        let shown = min(rows.rowCount, request.limit)
        let hasMore = rows.rowCount > request.limit
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("rows")
        writer.beginArray()
        for row in 0..<shown { writer.raw(try rows.textBytes(row, 0)) }
        writer.endArray()
        var next: String?
        if query.order.isEmpty {
            writer.key("more")
            writer.bool(hasMore)
        } else {
            next = hasMore ? try cursor(rows, shown - 1, request) : nil
            writer.key("next")
            if let next { writer.string(next) } else { writer.null() }
        }
        writer.endObject()
        let version =
            query.versionColumn == nil || shown == 0
            ? nil : try rows.optionalInt64(0, query.order.count + 1)
        return QueryPage(json: writer.finish(), next: next, version: version)
    }

    private static let longestPosition = 2_000

    private func cursor(_ rows: QueryResult, _ row: Int, _ request: QueryRequest) throws -> String {
        var keys: [String] = []
        for (index, column) in query.order.enumerated() {
            guard let key = try rows.optionalString(row, index + 1) else {
                throw QueryFailure("\(query.name): \(column.name), which pages are ordered by, is NULL in a row")
            }
            keys.append(key)
        }
        guard keys.reduce(0, { $0 + $1.utf8.count }) <= Self.longestPosition else {
            throw QueryFailure("\(query.name): the values by which pages are ordered are too long for a cursor")
        }
        return QueryCursor.text(QueryPosition(keys), of: query, request.arguments)
    }
}

/// An answer of a query.
public struct QueryPage: Sendable, Hashable {
    /// The body of the answer.
    public let json: [UInt8]
    /// The cursor of the next page; nil for the last page.
    public let next: String?
    /// The value of ``SQLQuery/versionColumn`` in the first row; nil without such a column.
    public let version: Int64?
}

/// The rows of a query cannot be an answer. Its author must change it.
public struct QueryFailure: Error, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}
