internal import Postgres
internal import SQLText

/// The script `schema.sql`: which statements it may not have, and where it failed.
enum SchemaScript {
    private static let transactions: Set<String> = ["begin", "commit", "rollback", "start", "abort", "savepoint"]

    /// - Throws: if a statement would end the transaction in which the script runs.
    static func check(_ file: SQLFile) throws(FolderProblem) {
        for statement in try SQLScanner.statements(of: file) {
            guard let first = statement.first, case .word(let word) = first.token, transactions.contains(word) else {
                continue
            }
            throw FolderProblem(
                "schema.sql runs in one transaction with its registration; leave \(word.uppercased()) out",
                at: file.place(at: first.range.lowerBound))
        }
    }

    /// Where the script failed: at the server's position, or else at the statement; nil if neither is known.
    static func place(of error: PostgresError, in file: SQLFile) -> SQLPlace? {
        if let position = error.position {
            var whole = AssembledSQL(of: file)
            whole.append(0..<file.text.utf8.count)
            return whole.place(ofCharacter: position - 1)
        }
        // A script that could not be parsed has run no statement, so its first one need not be the wrong one.
        guard error.sqlState?.code != "42601", let completed = error.completedStatements,
            let statements = try? SQLScanner.statements(of: file), completed < statements.count,
            let first = statements[completed].first
        else { return nil }
        return file.place(at: first.range.lowerBound)
    }
}
