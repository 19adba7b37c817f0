/// A value in a layer, before its setting is known.
indirect enum SettingValue {
    /// Text from the environment or the command line. It is parsed as the type of the setting.
    case text(String)
    case string(String)
    case integer(Int)
    case float(Double)
    case boolean(Bool)
    /// A date, a time or both. No setting has this type.
    case date
    case array([SettingValue])
    case table([String: LocatedValue])

    /// The name of the type in problems.
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

/// A value and the place where it was written.
struct LocatedValue {
    var origin: Origin
    var value: SettingValue
}

/// One layer of the configuration: the content of a file, the environment, or the command line.
struct SettingsLayer {
    var root: [String: LocatedValue] = [:]

    /// The value at `path`; nil if this layer does not contain it.
    func value(at path: [String]) -> LocatedValue? {
        guard let first = path.first, var found = root[first] else { return nil }
        for key in path.dropFirst() {
            guard case .table(let table) = found.value, let next = table[key] else { return nil }
            found = next
        }
        return found
    }

    /// Inserts a value at `path` and creates the tables on the way.
    ///
    /// - Returns: false if `path` leads through a value or ends at a table. Nothing is changed then.
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
