internal import Postgres
internal import SQLText

/// The way in which statements receive events.
public enum ProjectionMode: String, CaseIterable, Sendable {
    /// A statement runs once for all events of its type in a batch. It reads them from the relation `events`.
    case batch
    /// A statement runs once for each event of its type. It uses the event's values by name, such as `:payload`.
    case event
}

/// One statement of a projection, ready to be prepared.
struct SQLStatement: Sendable, Hashable {
    /// The statement for PostgreSQL.
    let statement: Statement
    /// The values of `$1`, `$2`, …. In batch mode these are all columns as arrays.
    let columns: [EventColumn]

    private let assembled: AssembledSQL

    /// The first words that are allowed: those of statements that may follow `WITH`.
    private static let beginnings: Set<String> = ["insert", "update", "delete", "merge", "select", "values", "with"]

    /// The statements of a file.
    ///
    /// - Throws: the problem of a statement.
    static func statements(of file: SQLFile, mode: ProjectionMode) throws(FolderProblem) -> [SQLStatement] {
        let tokens = try SQLScanner.tokens(of: file)
        var statements: [SQLStatement] = []
        for tokens in tokens.split(whereSeparator: { $0.token == .semicolon }) {
            statements.append(try SQLStatement(Array(tokens), of: file, mode: mode))
        }
        guard !statements.isEmpty else { throw FolderProblem("no statement", at: file.place(at: 0)) }
        return statements
    }

    private init(_ tokens: [SQLScanner.Found], of file: SQLFile, mode: ProjectionMode) throws(FolderProblem) {
        guard case .word(let first) = tokens[0].token, Self.beginnings.contains(first) else {
            throw FolderProblem(
                "a statement must begin with INSERT, UPDATE, DELETE, MERGE, SELECT, VALUES or WITH",
                at: file.place(at: tokens[0].range.lowerBound))
        }
        for token in tokens where token.token == .positional {
            throw FolderProblem(
                mode == .batch
                    ? "a statement of mode \"batch\" has no parameters; it reads the relation events"
                    : "use the event's values instead, such as :payload",
                at: file.place(at: token.range.lowerBound))
        }
        var writer = AssembledSQL(of: file)
        switch mode {
        case .batch:
            columns = EventColumn.allCases.dropLast()
            try Self.writeBatch(tokens, first, &writer)
        case .event:
            columns = try Self.writeEvent(tokens, &writer)
        }
        statement = Statement(writer.text)
        assembled = writer
    }

    /// Adds the relation `events` before the author's statement.
    private static func writeBatch(
        _ tokens: [SQLScanner.Found], _ first: String, _ writer: inout AssembledSQL
    ) throws(FolderProblem) {
        for case (.parameter(let name), let range) in tokens.map({ ($0.token, $0.range) }) {
            throw FolderProblem(
                "a statement of mode \"batch\" has no parameter :\(name); it reads the relation events",
                at: writer.file.place(at: range.lowerBound))
        }
        var rest = tokens[...]
        var beginning = "WITH " + EventColumn.relation
        if first == "with" {
            rest = rest.dropFirst()
            if rest.first?.token == .word("recursive") {
                rest = rest.dropFirst()
                beginning = "WITH RECURSIVE " + EventColumn.relation
            }
            beginning += ","
        }
        guard let start = rest.first?.range.lowerBound, let end = rest.last?.range.upperBound else {
            throw FolderProblem("expected a query after WITH", at: writer.file.place(at: tokens[0].range.lowerBound))
        }
        writer.append(beginning + " ")
        writer.append(start..<end)
    }

    /// Replaces the names by `$1`, `$2`, ….
    private static func writeEvent(
        _ tokens: [SQLScanner.Found], _ writer: inout AssembledSQL
    ) throws(FolderProblem) -> [EventColumn] {
        var columns: [EventColumn] = []
        var end = tokens[0].range.lowerBound
        for token in tokens {
            guard case .parameter(let name) = token.token else { continue }
            guard let column = EventColumn(rawValue: name) else {
                let names = EventColumn.allCases.map { ":\($0.rawValue)" }.joined(separator: ", ")
                throw FolderProblem(
                    "there is no :\(name); an event has \(names)", at: writer.file.place(at: token.range.lowerBound))
            }
            if !columns.contains(column) { columns.append(column) }
            writer.append(end..<token.range.lowerBound)
            writer.append("$\((columns.firstIndex(of: column) ?? 0) + 1)")
            end = token.range.upperBound
        }
        writer.append(end..<(tokens.last?.range.upperBound ?? end))
        return columns
    }

    // MARK: places

    /// The position of the statement in its file.
    var place: SQLPlace { assembled.place }

    /// The position of an error of PostgreSQL.
    ///
    /// - Parameter prefix: the number of characters that were sent before the statement's text.
    func place(of error: PostgresError, prefix: Int = 0) -> SQLPlace {
        assembled.place(ofCharacter: error.position.map { $0 - 1 - prefix })
    }

    /// The types of the parameters for PREPARE.
    func parameterTypes(_ mode: ProjectionMode) -> [String] {
        columns.map { mode == .batch ? $0.type + "[]" : $0.type }
    }
}
