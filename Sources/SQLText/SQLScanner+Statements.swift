extension SQLScanner {
    /// The tokens of each statement, without the semicolons between statements, as the server divides a script.
    ///
    /// The semicolons within a statement end nothing: those in parentheses, as in `CREATE RULE … DO (…; …)`, and those
    /// in the body of a function, `BEGIN ATOMIC …; END`.
    ///
    /// - Throws: if a string, a quoted name or a comment has no end.
    public static func statements(of file: SQLFile) throws(FolderProblem) -> [[Found]] {
        let utf8 = Array(file.text.utf8)
        var statements: [[Found]] = []
        var current: [Found] = []
        var parentheses = 0
        // The number of BEGIN ATOMIC and CASE without their END. Outside of such a body, CASE does not matter.
        var bodies = 0
        for found in try tokens(of: file) {
            switch found.token {
            case .semicolon where parentheses == 0 && bodies == 0:
                if !current.isEmpty { statements.append(current) }
                current = []
                continue
            case .word("atomic") where current.last?.token == .word("begin"): bodies += 1
            case .word("case") where bodies > 0: bodies += 1
            case .word("end") where bodies > 0: bodies -= 1
            case .other where utf8[found.range.lowerBound] == UInt8(ascii: "("): parentheses += 1
            case .other where utf8[found.range.lowerBound] == UInt8(ascii: ")"): parentheses = max(parentheses - 1, 0)
            default: break
            }
            current.append(found)
        }
        if !current.isEmpty { statements.append(current) }
        return statements
    }
}
