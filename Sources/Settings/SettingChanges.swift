/// The values of settings as an operator sees them, by section and key; secrets are hidden.
public struct ShownSettings: Sendable, Equatable {
    /// A setting that has another value than before.
    public struct Change: Sendable, Equatable, CustomStringConvertible {
        public let key: String
        public let old: String
        public let new: String

        public var description: String { "\(key): \(old) → \(new)" }
    }

    private var values: [String: String] = [:]
    private static let unset = "not set"

    init(_ sections: [DeclaredSection]) {
        for section in sections {
            for setting in section.settings {
                let key = "\(section.name).\(setting.key)"
                if setting.isTable {
                    for entry in setting.shownEntries { values["\(key).\(entry.key)"] = entry.text }
                } else {
                    values[key] = setting.shownText ?? Self.unset
                }
            }
        }
    }

    /// What is different in other settings, in the order of the keys.
    public func changes(to others: ShownSettings) -> [Change] {
        Set(values.keys).union(others.values.keys).sorted().compactMap { key in
            let (old, new) = (values[key] ?? Self.unset, others.values[key] ?? Self.unset)
            return old == new ? nil : Change(key: key, old: old, new: new)
        }
    }

    /// A change has taken effect.
    public mutating func take(_ change: Change) {
        values[change.key] = change.new
    }
}

extension LoadedSettings {
    /// The values of the settings, to be compared with those of another reading.
    public var shown: ShownSettings { ShownSettings(sections) }
}
