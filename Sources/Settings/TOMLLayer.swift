internal import TOMLKit

extension SettingsLayer {
    /// Parses a TOML document.
    ///
    /// - Parameters:
    ///   - text: the document.
    ///   - path: the name of the file in origins and problems.
    /// - Throws: the first problem that the parser found.
    static func parse(toml text: String, path: String) throws(SettingsProblem) -> SettingsLayer {
        // The library takes a C string and would silently stop at a NUL.
        if let nul = text.utf8.firstIndex(of: 0) {
            let before = text.utf8[..<nul]
            let line = before.count { $0 == UInt8(ascii: "\n") } + 1
            let column = before.reversed().prefix { $0 != UInt8(ascii: "\n") }.count + 1
            throw .unreadable(path, SourcePosition(line: line, column: column), "a NUL character")
        }
        let document: TOMLTable
        do {
            document = try TOMLTable(string: text)
        } catch let error as TOMLParseError {
            let begin = error.source.begin
            throw .unreadable(path, SourcePosition(line: begin.line, column: begin.column), error.description)
        } catch {
            throw .unreadable(path, SourcePosition(line: 1, column: 1), "\(error)")
        }
        let reader = TOMLTree(path: path, positions: KeyPositions.find(in: text))
        // The inner tables point into `document` without owning it.
        return withExtendedLifetime(document) { SettingsLayer(root: reader.table(document, at: [])) }
    }
}

/// Copies the library's tree into this module's types and adds the positions.
private struct TOMLTree {
    let path: String
    let positions: [[String]: SourcePosition]

    func table(_ table: TOMLTable, at parent: [String]) -> [String: LocatedValue] {
        var result: [String: LocatedValue] = [:]
        for key in table.keys {
            guard let value = table[key] else { continue }
            let keys = parent + [key]
            let position = positions[keys] ?? positions[parent] ?? SourcePosition(line: 1, column: 1)
            result[key] = LocatedValue(origin: .file(path, position), value: self.value(value, at: keys))
        }
        return result
    }

    private func value(_ value: any TOMLValueConvertible, at keys: [String]) -> SettingValue {
        switch value.type {
        case .string: value.string.map { .string($0) } ?? .date
        case .int: value.int.map { .integer($0) } ?? .date
        case .double: value.double.map { .float($0) } ?? .date
        case .bool: value.bool.map { .boolean($0) } ?? .date
        case .table: .table(value.table.map { table($0, at: keys) } ?? [:])
        case .array:
            .array(
                value.array.map { array in (0..<array.count).map { self.value(array[$0], at: keys) } } ?? [])
        case .date, .time, .dateTime: .date
        }
    }
}
