/// The statements that a session has prepared, by text and parameter types. A pure value.
struct PreparedStatements {
    struct Entry {
        let name: String
        let isNew: Bool
    }

    private struct Key: Hashable {
        let statement: Statement
        let types: [UInt32]
    }

    /// The maximum number of prepared statements, which bounds the session's memory at the server.
    static let limit = 256

    private var names: [Key: String] = [:]
    private var unconfirmed: [Key] = []
    private var counter = 0

    /// Whether `count` more statements can be prepared before all have to be deallocated.
    func hasRoom(for count: Int) -> Bool {
        names.count + count <= Self.limit || names.isEmpty
    }

    /// The name of the prepared statement. The caller must prepare it under this name if it is new.
    mutating func entry(for statement: Statement, types: [UInt32]) -> Entry {
        let key = Key(statement: statement, types: types)
        if let name = names[key] { return Entry(name: name, isNew: false) }
        counter += 1
        let name = "s\(counter)"
        names[key] = name
        unconfirmed.append(key)
        return Entry(name: name, isNew: true)
    }

    /// Keeps those of the new statements that the server has prepared, and forgets the other new ones.
    mutating func confirm(_ preparedNames: [String]) {
        for key in unconfirmed {
            guard let name = names[key], !preparedNames.contains(name) else { continue }
            names[key] = nil
        }
        if !unconfirmed.isEmpty { unconfirmed.removeAll() }
    }

    /// Forgets all statements if the server no longer knows one, or refuses its plan because a table changed. The error
    /// does not say which statement is concerned, so all are prepared again.
    mutating func forgetOutdated(after error: PostgresError) {
        if error.sqlState == .invalidStatementName || error.sqlState == .featureNotSupported { names.removeAll() }
    }

    mutating func removeAll() {
        names.removeAll()
        unconfirmed.removeAll()
    }
}
