internal import SQLText

/// The script `schema.sql`: which statements it may not have.
enum SchemaScript {
    private static let transactions: Set<String> = ["begin", "commit", "rollback", "start", "abort", "savepoint"]

    /// - Throws: if a statement would end the transaction in which the script runs.
    static func check(_ file: SQLFile) throws(FolderProblem) {
        let tokens = try SQLScanner.tokens(of: file)
        for statement in tokens.split(whereSeparator: { $0.token == .semicolon }) {
            guard let first = statement.first, case .word(let word) = first.token, transactions.contains(word) else {
                continue
            }
            throw FolderProblem(
                "schema.sql runs in one transaction with its registration; leave \(word.uppercased()) out",
                at: file.place(at: first.range.lowerBound))
        }
    }
}
