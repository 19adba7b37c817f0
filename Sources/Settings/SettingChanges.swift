/// The values of settings in the form that operators see, by section and key. Secrets are hidden.
public struct ShownSettings: Sendable, Equatable {
    /// A setting whose value has changed.
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

    /// The differences to other settings, ordered by key.
    public func changes(to others: ShownSettings) -> [Change] {
        Set(values.keys).union(others.values.keys).sorted().compactMap { key in
            let (old, new) = (values[key] ?? Self.unset, others.values[key] ?? Self.unset)
            return old == new ? nil : Change(key: key, old: old, new: new)
        }
    }

    /// Takes over a change that has taken effect.
    public mutating func take(_ change: Change) {
        values[change.key] = change.new
    }
}

extension LoadedSettings {
    /// The values of the settings, for comparing them with those of a later reading.
    public var shown: ShownSettings { ShownSettings(sections) }
}
