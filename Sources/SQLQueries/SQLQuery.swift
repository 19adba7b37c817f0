public import SQLText

/// A query in a file of SQL, which is served at `/v1/q/NAME`, and at its own path if it has one.
///
/// ```sql
/// -- The orders of a customer, the latest first.
/// --
/// -- @reads customer-orders
/// -- @param customer text required The customer's id.
/// -- @order created_at desc, order_id desc
/// SELECT order_id, created_at FROM customer_orders WHERE customer_id = :customer
/// ```
public struct SQLQuery: Sendable {
    /// The file's name without `.sql`.
    public let name: String
    /// The lines of the header that are not directives.
    public let description: String
    public let reads: [Source]
    /// The path that answers the query beside `/v1/q/NAME`; nil for none.
    public let path: QueryPath?
    /// The position of the path in the file.
    let pathPlace: SQLPlace
    public let parameters: [QueryParameter]
    /// The columns that order the rows of pages; empty if there are no pages.
    public let order: [OrderColumn]
    /// Number of rows of an answer, if the request does not specify it.
    public let defaultLimit: Int
    /// Maximum number of rows of an answer.
    public let maxLimit: Int
    /// Time for which an answer is cached for equal requests, in milliseconds; nil for no caching.
    public let cacheMs: Int?
    /// Maximum duration of the query, in milliseconds.
    public let timeoutMs: Int
    /// The column whose value in the first row is compared with `min_version`.
    public let versionColumn: String?
    /// The author's statement, with `$1`, `$2`, … instead of the names of ``parameters``, in their order.
    let body: AssembledSQL

    /// A read model that the query reads.
    public struct Source: Sendable, Hashable {
        /// The projection's name.
        public let name: String
        /// The version; nil for the live version.
        public let version: Int?
    }

    public struct OrderColumn: Sendable, Hashable {
        public let name: String
        public let isDescending: Bool
    }

    /// The position of the query's header, for messages.
    public var place: SQLPlace { body.file.place(at: 0) }

    /// Reads a file.
    ///
    /// - Throws: ``InvalidFolder`` with all problems of the file.
    public init(_ file: SQLFile) throws(InvalidFolder) {
        var header = QueryHeader(file)
        header.read()
        var problems = header.problems
        if !Self.isName(file.stem) {
            problems.append(
                FolderProblem(
                    "the name of a query's file must consist of at most 60 lower-case letters, digits and hyphens",
                    at: file.place(at: 0)))
        }
        var body = AssembledSQL(of: file)
        do throws(FolderProblem) {
            let tokens = try Self.statement(of: file)
            problems += Self.write(tokens, header, &body)
        } catch {
            problems.append(error)
        }
        guard problems.isEmpty else { throw InvalidFolder(problems) }
        self.body = body
        name = file.stem
        description = header.description
        reads = header.reads
        (path, pathPlace) = (header.path, header.pathPlace)
        parameters = header.parameters.map(\.parameter)
        order = header.order
        (defaultLimit, maxLimit) = (header.defaultLimit, header.maxLimit)
        (cacheMs, timeoutMs) = (header.cacheMs, header.timeoutMs)
        versionColumn = header.versionColumn
    }

    private static func isName(_ name: String) -> Bool {
        let isLetter: (UInt8) -> Bool = { $0 &- UInt8(ascii: "a") < 26 }
        return name.utf8.count <= 60 && name.utf8.first.map(isLetter) == true
            && name.utf8.allSatisfy { isLetter($0) || $0 &- UInt8(ascii: "0") < 10 || $0 == UInt8(ascii: "-") }
    }

    /// The tokens of the file's only statement.
    private static func statement(of file: SQLFile) throws(FolderProblem) -> [SQLScanner.Found] {
        let statements = try SQLScanner.tokens(of: file).split { $0.token == .semicolon }
        guard let first = statements.first else { throw FolderProblem("no statement", at: file.place(at: 0)) }
        guard ["select", "with", "values"].contains(where: { first.first?.token == .word($0) }) else {
            throw FolderProblem(
                "a query must begin with SELECT, WITH or VALUES",
                at: file.place(at: first.first?.range.lowerBound ?? 0))
        }
        if statements.count > 1 {
            throw FolderProblem(
                "a query must be one statement", at: file.place(at: statements[1].first?.range.lowerBound ?? 0))
        }
        return Array(first)
    }

    /// Puts `$1`, `$2`, … in the place of the names.
    private static func write(
        _ tokens: [SQLScanner.Found], _ header: QueryHeader, _ body: inout AssembledSQL
    ) -> [FolderProblem] {
        var problems: [FolderProblem] = []
        var used: Set<String> = []
        var end = tokens.first?.range.lowerBound ?? 0
        for found in tokens {
            switch found.token {
            case .positional:
                problems.append(
                    FolderProblem(
                        "use a named parameter instead, :name", at: body.file.place(at: found.range.lowerBound)))
            case .parameter(let name):
                guard let index = header.parameters.firstIndex(where: { $0.parameter.name == name }) else {
                    problems.append(
                        FolderProblem(
                            "there is no parameter \(name); declare it: -- @param \(name) text",
                            at: body.file.place(at: found.range.lowerBound)))
                    continue
                }
                used.insert(name)
                body.append(end..<found.range.lowerBound)
                body.append("$\(index + 1)")
                end = found.range.upperBound
            default: continue
            }
        }
        body.append(end..<(tokens.last?.range.upperBound ?? end))
        for declared in header.parameters where !used.contains(declared.parameter.name) {
            problems.append(FolderProblem("the statement does not use :\(declared.parameter.name)", at: declared.place))
        }
        return problems
    }
}
