/// One thing that is wrong with a configuration.
public struct SettingsProblem: Error, Hashable, Sendable {
    /// The place of the problem; nil for a setting that is missing.
    public let origin: Origin?
    /// The setting, `section.key`; nil when it is about a whole file.
    public let key: String?
    /// What is wrong. Never holds the value of a secret.
    public let text: String
    /// The name that was probably meant.
    public let suggestion: String?

    public init(origin: Origin?, key: String?, text: String, suggestion: String? = nil) {
        self.origin = origin
        self.key = key
        self.text = text
        self.suggestion = suggestion
    }

    static func unreadable(_ path: String, _ position: SourcePosition?, _ text: String) -> SettingsProblem {
        SettingsProblem(origin: .file(path, position), key: nil, text: text)
    }
}

extension SettingsProblem: CustomStringConvertible {
    /// `file:line:col: key: problem; did you mean "…"?`.
    public var description: String {
        var parts: [String] = []
        if let origin, origin != .defaultValue { parts.append("\(origin)") }
        // `--set log.level` has named the key.
        if let key, origin != .commandLine(key) { parts.append(key) }
        parts.append(text)
        return parts.joined(separator: ": ") + (suggestion.map { "; did you mean \"\($0)\"?" } ?? "")
    }
}

/// A configuration that cannot be used, with everything that is wrong with it.
public struct InvalidSettings: Error, Sendable {
    /// In the order of layers, files and lines.
    public let problems: [SettingsProblem]

    public init(problems: [SettingsProblem]) {
        self.problems = problems
    }
}

extension InvalidSettings: CustomStringConvertible {
    /// One problem a line.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}
