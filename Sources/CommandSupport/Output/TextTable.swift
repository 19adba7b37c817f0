/// A table of text. Each column is as wide as its widest cell.
package struct TextTable {
    private let titles: [String]
    private var rows: [[String]] = []

    package init(_ titles: [String]) {
        self.titles = titles
    }

    package mutating func add(_ cells: [String]) {
        rows.append(cells)
    }

    package var text: String {
        let widths = titles.indices.map { column in
            ([titles] + rows).map { $0[column].count }.max() ?? 0
        }
        return ([titles] + rows).map { cells in
            var line = ""
            for (column, cell) in cells.enumerated() {
                let isLast = column == cells.count - 1
                line += isLast ? cell : cell + String(repeating: " ", count: widths[column] - cell.count + 2)
            }
            return line
        }.joined(separator: "\n")
    }

    /// The first and the last characters, which contain the place and the reason of an error.
    package static func shorten(_ text: String, to length: Int) -> String {
        guard text.count > length, length > 0 else { return text }
        return text.prefix(length / 2) + "…" + text.suffix(length - 1 - length / 2)
    }

    /// The first characters, with a mark if the text was cut.
    package static func cut(_ text: String, to length: Int) -> String {
        text.count <= length ? text : text.prefix(max(0, length - 1)) + "…"
    }
}
