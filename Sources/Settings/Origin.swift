/// A position in a configuration file. Lines and columns count from 1, and a column is a character, not a byte.
public struct SourcePosition: Hashable, Sendable {
    public let line: Int
    public let column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// The place where the value of a setting was written.
public enum Origin: Hashable, Sendable {
    /// The program's default.
    case defaultValue
    /// A configuration file or a file of its `conf.d`. The position is that of the key; nil for the file as a whole.
    case file(String, SourcePosition?)
    /// The environment variable with this name.
    case environment(String)
    /// The option `--set` with this key.
    case commandLine(String)
}

extension Origin: CustomStringConvertible {
    /// The form at the beginning of a problem: `relay.toml:12:3`, `environment MILLRACE_LOG__LEVEL`, `--set log.level`,
    /// `default`.
    public var description: String {
        switch self {
        case .defaultValue: "default"
        case .file(let path, let position?): "\(path):\(position.line):\(position.column)"
        case .file(let path, nil): path
        case .environment(let name): "environment \(name)"
        case .commandLine(let key): "--set \(key)"
        }
    }
}
