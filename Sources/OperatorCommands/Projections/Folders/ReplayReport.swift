internal import SQLProjections

/// The text of the differences between a version's tables and those of a replay, for operators.
struct ReplayReport {
    private let tables: [TableComparison]

    init(_ tables: [TableComparison]) {
        self.tables = tables
    }

    var text: String {
        var table = TextTable(["TABLE", "ROWS", "MISSING", "SURPLUS"])
        for comparison in tables {
            table.add([
                comparison.table, String(comparison.rows), String(comparison.missing), String(comparison.surplus),
            ])
        }
        let examples = tables.filter { !$0.isEqual }.flatMap { comparison in
            ["\(comparison.table):"] + comparison.examples.map { "  " + LetterFormat.text($0) }
        }
        return ([table.text] + examples).joined(separator: "\n")
    }
}
