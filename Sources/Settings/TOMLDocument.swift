/// A TOML file that contains data instead of settings. It may have any keys.
public enum TOMLDocument {
    /// Reads a file.
    ///
    /// - Throws: ``InvalidSettings`` with the position if the file cannot be read or is not TOML.
    public static func read(path: String) throws(InvalidSettings) -> [String: TOMLValue] {
        do throws(SettingsProblem) {
            let layer = try SettingsLayer.parse(toml: try contents(of: path), path: path)
            return layer.root.mapValues { TOMLValue($0.value) }
        } catch {
            throw InvalidSettings(problems: [error])
        }
    }
}

/// A value of a TOML document.
public indirect enum TOMLValue: Hashable, Sendable {
    case string(String)
    case integer(Int)
    case float(Double)
    case boolean(Bool)
    case date
    case array([TOMLValue])
    case table([String: TOMLValue])

    init(_ value: SettingValue) {
        switch value {
        case .text(let text), .string(let text): self = .string(text)
        case .integer(let number): self = .integer(number)
        case .float(let number): self = .float(number)
        case .boolean(let flag): self = .boolean(flag)
        case .date: self = .date
        case .array(let values): self = .array(values.map(TOMLValue.init))
        case .table(let table): self = .table(table.mapValues { TOMLValue($0.value) })
        }
    }
}
