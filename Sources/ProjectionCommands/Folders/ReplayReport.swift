internal import CommandSupport
package import SQLProjections

/// The text of the differences between a version's tables and those of a replay, for operators.
package struct ReplayReport {
    private let tables: [TableComparison]

    package init(_ tables: [TableComparison]) {
        self.tables = tables
    }

    package var text: String {
        var table = TextTable(["TABLE", "ROWS", "MISSING", "SURPLUS"])
        for comparison in tables {
            table.add([
                comparison.table, String(comparison.rows), String(comparison.missing), String(comparison.surplus),
            ])
        }
        let examples = tables.filter { !$0.isEqual }.flatMap { comparison in
            ["\(comparison.table):"] + comparison.examples.map { "  " + TextFormat.text($0) }
        }
        return ([table.text] + examples).joined(separator: "\n")
    }
}
