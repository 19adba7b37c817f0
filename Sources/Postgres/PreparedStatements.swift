/// Which statements a session has prepared, by their text and their parameters' types. A pure value.
struct PreparedStatements {
    struct Entry {
        let name: String
        let isNew: Bool
    }

    private struct Key: Hashable {
        let statement: Statement
        let types: [UInt32]
    }

    /// A session's memory at the server is bounded by this many statements.
    static let limit = 256

    private var names: [Key: String] = [:]
    private var unconfirmed: [Key] = []
    private var counter = 0

    /// Whether so many more can be prepared without forgetting all.
    func hasRoom(for count: Int) -> Bool {
        names.count + count <= Self.limit || names.isEmpty
    }

    /// The statement's name; new ones must be prepared under it.
    mutating func entry(for statement: Statement, types: [UInt32]) -> Entry {
        let key = Key(statement: statement, types: types)
        if let name = names[key] { return Entry(name: name, isNew: false) }
        counter += 1
        let name = "s\(counter)"
        names[key] = name
        unconfirmed.append(key)
        return Entry(name: name, isNew: true)
    }

    /// The server has these, and of what was new nothing else.
    mutating func confirm(_ preparedNames: [String]) {
        for key in unconfirmed {
            guard let name = names[key], !preparedNames.contains(name) else { continue }
            names[key] = nil
        }
        if !unconfirmed.isEmpty { unconfirmed.removeAll() }
    }

    /// A statement that the server no longer knows, or whose plan it refuses since a table changed, is to be prepared
    /// again; which one it was is not told, so all are.
    mutating func forgetOutdated(after error: PostgresError) {
        if error.sqlState == .invalidStatementName || error.sqlState == .featureNotSupported { names.removeAll() }
    }

    mutating func removeAll() {
        names.removeAll()
        unconfirmed.removeAll()
    }
}
