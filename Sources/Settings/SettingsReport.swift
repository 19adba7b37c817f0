extension LoadedSettings {
    /// The effective settings as TOML. Secrets are hidden.
    ///
    /// - Parameter origins: whether each line ends with the origin of its value.
    public func report(origins: Bool) -> String {
        var lines: [String] = []
        for section in sections {
            if !lines.isEmpty { lines.append("") }
            lines.append("[\(section.name)]")
            let rows = section.settings.filter { !$0.isTable }.map { setting in
                setting.shownText.map { Row(text: "\(setting.key) = \($0)", origin: setting.origin) }
                    ?? Row(text: "#\(setting.key) is not set", origin: nil)
            }
            lines += Row.lines(rows, origins: origins)
            for table in section.settings where table.isTable && !table.shownEntries.isEmpty {
                lines += ["", "[\(section.name).\(table.key)]"]
                lines += Row.lines(
                    table.shownEntries.map { Row(text: "\(TOMLText.key($0.key)) = \($0.text)", origin: $0.origin) },
                    origins: origins)
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

private struct Row {
    let text: String
    let origin: Origin?

    /// The rows as lines, with their origins in one column.
    static func lines(_ rows: [Row], origins: Bool) -> [String] {
        let width = rows.filter { $0.origin != nil }.map(\.text.count).max() ?? 0
        return rows.map { row in
            guard origins, let origin = row.origin else { return row.text }
            return row.text + String(repeating: " ", count: width - row.text.count) + "  # \(origin)"
        }
    }
}
