/// A value as a layer holds it, before anything is known about the setting it is meant for.
indirect enum SettingValue {
    /// From the environment or the command line, where nothing but text exists: the setting's own type reads it.
    case text(String)
    case string(String)
    case integer(Int)
    case float(Double)
    case boolean(Bool)
    /// A date, a time or both; no setting has this type.
    case date
    case array([SettingValue])
    case table([String: LocatedValue])

    /// What a problem calls it.
    var kind: String {
        switch self {
        case .text: "text"
        case .string: "a string"
        case .integer: "an integer"
        case .float: "a floating-point number"
        case .boolean: "a boolean"
        case .date: "a date or time"
        case .array: "an array"
        case .table: "a table"
        }
    }
}

/// A value and where it was written.
struct LocatedValue {
    var origin: Origin
    var value: SettingValue
}

/// One layer of the configuration: what one file, the environment or the command line says.
struct SettingsLayer {
    var root: [String: LocatedValue] = [:]

    /// The value at `path`; nil when this layer says nothing about it.
    func value(at path: [String]) -> LocatedValue? {
        guard let first = path.first, var found = root[first] else { return nil }
        for key in path.dropFirst() {
            guard case .table(let table) = found.value, let next = table[key] else { return nil }
            found = next
        }
        return found
    }

    /// Puts a value at `path`, making the tables on the way.
    ///
    /// - Returns: false, with nothing changed, when `path` runs through a value or ends on a table.
    mutating func insert(_ value: LocatedValue, at path: ArraySlice<String>) -> Bool {
        Self.insert(value, at: path, in: &root)
    }

    private static func insert(
        _ value: LocatedValue, at path: ArraySlice<String>, in table: inout [String: LocatedValue]
    ) -> Bool {
        guard let key = path.first else { return false }
        let rest = path.dropFirst()
        if rest.isEmpty {
            guard table[key] == nil else { return false }
            table[key] = value
            return true
        }
        var inner: [String: LocatedValue] = [:]
        if let existing = table[key] {
            guard case .table(let existing) = existing.value else { return false }
            inner = existing
        }
        guard insert(value, at: rest, in: &inner) else { return false }
        table[key] = LocatedValue(origin: table[key]?.origin ?? value.origin, value: .table(inner))
        return true
    }
}
