internal import Foundation

/// The sources of a configuration. The lowest layer is the program's defaults. Above them are the file, the `*.toml`
/// files of the folder `conf.d` beside it in the order of their names, the environment, and `--set`.
public struct SettingsSources: Sendable {
    /// A text in memory that is read as a configuration file would be, without a `conf.d`.
    public struct Text: Sendable {
        /// How messages name it.
        public var path: String
        public var toml: String

        public init(path: String, toml: String) {
            self.path = path
            self.toml = toml
        }
    }

    /// The configuration file; nil for none.
    public var file: String?
    /// What is read instead of a file.
    public var text: Text?
    /// The environment variables. `MILLRACE_SECTION__KEY` sets `section.key`.
    public var environment: [String: String]
    /// The arguments of `--set`, each `section.key=value`.
    public var overrides: [String]
    /// The sections of other programs. They may occur in a shared file or environment and are ignored.
    public var foreignSections: Set<String>

    public init(
        file: String? = nil, environment: [String: String] = [:], overrides: [String] = [],
        foreignSections: Set<String> = []
    ) {
        self.file = file
        self.environment = environment
        self.overrides = overrides
        self.foreignSections = foreignSections
    }

    /// A text alone, and no other layer.
    public init(_ text: Text) {
        self.init()
        self.text = text
    }
}

// MARK: - from sources to layers

/// The layers above the defaults, the lowest first, and the problems of reading them.
struct LoadedLayers {
    static let environmentPrefix = "MILLRACE_"

    /// Every file that should be read, in order.
    private(set) var paths: [String] = []
    var files: [SettingsLayer] = []
    var environment = SettingsLayer()
    var commandLine = SettingsLayer()
    var problems: [SettingsProblem] = []

    init(_ sources: SettingsSources) {
        if let file = sources.file {
            paths = [file] + dropIns(beside: file)
            for path in paths { read(path) }
        }
        if let text = sources.text {
            paths.append(text.path)
            parse(text.toml, text.path)
        }
        for (name, value) in sources.environment.sorted(by: { $0.key < $1.key }) { read(variable: name, value) }
        // The last of several values for one key wins, because scripts append to the arguments that they received.
        var seen: Set<Substring> = []
        for argument in sources.overrides.reversed() where seen.insert(argument.prefix { $0 != "=" }).inserted {
            read(override: argument)
        }
    }

    private mutating func read(_ path: String) {
        do {
            parse(try contents(of: path), path)
        } catch {
            problems.append(error)
        }
    }

    private mutating func parse(_ toml: String, _ path: String) {
        do {
            files.append(try SettingsLayer.parse(toml: toml, path: path))
        } catch {
            problems.append(error)
        }
    }

    private mutating func dropIns(beside file: String) -> [String] {
        let folder = (file as NSString).deletingLastPathComponent
        let dropIns = folder.isEmpty ? "conf.d" : folder + "/conf.d"
        guard FileManager.default.fileExists(atPath: dropIns) else { return [] }
        do {
            return try FileManager.default.contentsOfDirectory(atPath: dropIns)
                .filter { $0.hasSuffix(".toml") && !$0.hasPrefix(".") }
                .sorted()
                .map { dropIns + "/" + $0 }
        } catch {
            problems.append(.unreadable(dropIns, nil, "cannot be read"))
            return []
        }
    }

    /// Reads a variable: `MILLRACE_KAFKA__CLIENT_ID=x` sets kafka.client_id. A variable without `__` is ignored.
    private mutating func read(variable name: String, _ value: String) {
        guard name.hasPrefix(Self.environmentPrefix) else { return }
        let path = name.dropFirst(Self.environmentPrefix.count).lowercased().components(separatedBy: "__")
        guard path.count > 1, !path.contains("") else { return }
        let located = LocatedValue(origin: .environment(name), value: .text(value))
        if !environment.insert(located, at: path[...]) {
            problems.append(
                SettingsProblem(
                    origin: located.origin, key: path.joined(separator: "."),
                    text: "another variable gives this setting as a value, or as a table"))
        }
    }

    private mutating func read(override argument: String) {
        let origin: (String) -> Origin = { .commandLine($0) }
        guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else {
            problems.append(
                SettingsProblem(origin: origin(argument), key: nil, text: "expected section.key=value"))
            return
        }
        let key = String(argument[..<equals])
        let path = key.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        let located = LocatedValue(
            origin: origin(key), value: .text(String(argument[argument.index(after: equals)...])))
        guard path.count > 1, !path.contains("") else {
            problems.append(SettingsProblem(origin: origin(key), key: nil, text: "expected section.key=value"))
            return
        }
        if !commandLine.insert(located, at: path[...]) {
            problems.append(SettingsProblem(origin: origin(key), key: key, text: "set as a value and as a table"))
        }
    }
}

// MARK: - files

/// The maximum size of a file in bytes. No configuration is larger, so a larger file was probably named by mistake.
private let largestFileBytes = 1 << 20

/// The text of a file.
///
/// - Throws: a problem that names the file.
func contents(of path: String) throws(SettingsProblem) -> String {
    guard FileManager.default.fileExists(atPath: path) else { throw .unreadable(path, nil, "no such file") }
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    guard attributes?[.type] as? FileAttributeType != .typeDirectory else {
        throw .unreadable(path, nil, "is a folder, not a file")
    }
    guard let handle = FileHandle(forReadingAtPath: path) else {
        throw .unreadable(path, nil, "cannot be read (permission denied?)")
    }
    defer { try? handle.close() }
    guard let data = try? handle.read(upToCount: largestFileBytes + 1) ?? Data() else {
        throw .unreadable(path, nil, "cannot be read")
    }
    guard data.count <= largestFileBytes else {
        throw .unreadable(path, nil, "larger than \(largestFileBytes) bytes")
    }
    guard let text = String(validating: data, as: UTF8.self) else { throw .unreadable(path, nil, "is not UTF-8") }
    return text
}
