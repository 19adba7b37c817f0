/// A problem of a configuration.
public struct SettingsProblem: Error, Hashable, Sendable {
    /// The place of the problem; nil for a missing setting.
    public let origin: Origin?
    /// The setting (`section.key`); nil if the problem concerns a whole file.
    public let key: String?
    /// What is wrong. It never contains the value of a secret.
    public let text: String
    /// The name that was probably meant; nil if there is none.
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
        // The origin, for example `--set log.level`, already contains the key.
        if let key, origin != .commandLine(key) { parts.append(key) }
        parts.append(text)
        return parts.joined(separator: ": ") + (suggestion.map { "; did you mean \"\($0)\"?" } ?? "")
    }
}

/// The configuration is invalid. Contains all problems.
public struct InvalidSettings: Error, Sendable {
    /// The problems, ordered by layer, file and line.
    public let problems: [SettingsProblem]

    public init(problems: [SettingsProblem]) {
        self.problems = problems
    }
}

extension InvalidSettings: CustomStringConvertible {
    /// One problem in each line.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}
