/// The settings of a program: a plain value whose initialiser declares and reads each of them at once.
///
/// One call says all there is to know about a setting (name, default, range, explanation), so that reading it, the
/// commented default file, the check for unknown keys and `config show` cannot disagree.
public protocol SettingsDeclaration: Sendable {
    /// Declares every setting, whatever was read before: no setting may depend on another's value.
    init(from reader: SettingsReader)
}

extension SettingsDeclaration {
    /// Reads the configuration.
    ///
    /// - Throws: every problem of all layers, not only the first.
    public static func load(_ sources: SettingsSources) throws(InvalidSettings) -> LoadedSettings<Self> {
        let reader = SettingsReader(sources)
        let settings = Self(from: reader)
        let problems = reader.finish()
        guard problems.isEmpty else { throw InvalidSettings(problems: problems) }
        return LoadedSettings(settings: settings, warnings: reader.warnings, sections: reader.sections)
    }
}

extension SettingsDeclaration {
    /// What counts where nothing is configured; what is required has an empty value.
    public static var defaults: Self { Self(from: SettingsReader(SettingsSources())) }

    /// The names of all sections.
    public static var sectionNames: [String] {
        let reader = SettingsReader(SettingsSources())
        _ = Self(from: reader)
        return reader.sections.map(\.name)
    }
}

/// A configuration that was read, and where each of its values came from.
public struct LoadedSettings<Settings: SettingsDeclaration>: Sendable {
    public let settings: Settings
    /// What does not keep a program from starting and should be mended all the same: secret files that others can read.
    public let warnings: [String]
    let sections: [DeclaredSection]
}

/// Collects what a ``SettingsDeclaration`` declares and answers with what the layers say.
///
/// A setting that cannot be read is noted and answered with its default, so that all problems come out together.
public final class SettingsReader {
    let sources: SettingsSources
    /// Highest first.
    let layers: [SettingsLayer]
    var sections: [DeclaredSection] = []
    private var problems: [SettingsProblem]
    private(set) var warnings: [String] = []
    private let paths: [String]
    /// Whether a file's values are unknown, so that nothing can be called missing.
    let isIncomplete: Bool

    init(_ sources: SettingsSources) {
        let loaded = LoadedLayers(sources)
        self.sources = sources
        layers = [loaded.commandLine, loaded.environment] + loaded.files.reversed()
        problems = loaded.problems
        paths = loaded.paths
        isIncomplete = loaded.files.count < loaded.paths.count
    }

    /// Begins a section.
    ///
    /// - Parameters:
    ///   - name: its name in the file, `[name]`; `outer.inner` lies within a section declared before.
    ///   - documentation: one sentence that the default file shows above it.
    public func section(_ name: String, _ documentation: String) -> SectionReader {
        precondition(!sections.contains { $0.name == name }, "section \(name) is declared twice")
        sections.append(DeclaredSection(name: name, documentation: documentation))
        return SectionReader(reader: self, name: name, index: sections.count - 1)
    }

    func report(_ problem: SettingsProblem) {
        problems.append(problem)
    }

    /// - Returns: the secret.
    func resolve(_ reference: SecretReference) throws(Rejection) -> Secret {
        let secret = try reference.resolve(sources)
        if let path = reference.filePath(sources) { noteSecretFile(path) }
        return secret
    }

    /// - Returns: the path of a file that the program reads by itself.
    func file(_ name: String, isSecret: Bool, namedAt origin: Origin) -> String {
        let path = SecretReference(file: name, namedAt: origin).filePath(sources) ?? name
        if isSecret { noteSecretFile(path) }
        return path
    }

    private func noteSecretFile(_ path: String) {
        if let exposure = exposure(ofSecretFile: path), !warnings.contains(exposure) { warnings.append(exposure) }
    }

    /// The value that counts for a setting: that of the highest layer which has one.
    func value(of setting: DeclaredSetting, in section: String) -> LocatedValue? {
        for (depth, layer) in layers.enumerated() {
            if let found = layer.value(at: path(of: section) + [setting.key]) { return found }
            // A variable by its common name stands right below MILLRACE_….
            if depth == 1, let name = setting.environmentName, let text = sources.environment[name], !text.isEmpty {
                return LocatedValue(origin: .environment(name), value: .text(text))
            }
        }
        return nil
    }

    /// - Returns: all problems, those of unknown keys included, in the order of layers, files and lines.
    func finish() -> [SettingsProblem] {
        for layer in layers { reportUnknown(in: layer) }
        reportMistakenVariables()
        return problems.enumerated()
            .sorted { order($0.element, $0.offset) < order($1.element, $1.offset) }
            .map(\.element)
    }

    func path(of section: String) -> [String] {
        section.split(separator: ".").map(String.init)
    }

    private func reportUnknown(in layer: SettingsLayer) {
        let outer = sections.map(\.name).filter { !$0.contains(".") }
        for (name, value) in layer.root {
            if outer.contains(name) {
                reportUnknown(in: value, of: name)
            } else if !sources.foreignSections.contains(name) {
                let isTable = if case .table = value.value { true } else { false }
                report(
                    SettingsProblem(
                        origin: value.origin, key: name, text: isTable ? "unknown section" : "unknown key",
                        suggestion: closestName(to: name, among: outer)))
            }
        }
    }

    private func reportUnknown(in value: LocatedValue, of name: String) {
        guard case .table(let keys) = value.value else {
            report(
                SettingsProblem(
                    origin: value.origin, key: name,
                    text: "expected a section, [\(name)], found \(value.value.kind)"))
            return
        }
        let settings = sections.first { $0.name == name }?.settings.map(\.key) ?? []
        for (key, value) in keys where !settings.contains(key) {
            let inner = "\(name).\(key)"
            if sections.contains(where: { $0.name == inner }) {
                reportUnknown(in: value, of: inner)
            } else {
                report(
                    SettingsProblem(
                        origin: value.origin, key: inner, text: "unknown key",
                        suggestion: suggestion(for: key, among: settings)))
            }
        }
    }

    /// A near name in the same section, or else the same name in another.
    private func suggestion(for key: String, among siblings: [String]) -> String? {
        if let near = closestName(to: key, among: siblings) { return near }
        let elsewhere = sections.first { $0.settings.contains { $0.key == key } }
        return elsewhere.map { "\($0.name).\(key)" }
    }

    /// `MILLRACE_LOG_LEVEL`, where `MILLRACE_LOG__LEVEL` was meant, would otherwise do nothing, silently.
    private func reportMistakenVariables() {
        let single: (String) -> String = { $0.split(separator: "_").joined(separator: "_") }
        for name in sources.environment.keys where name.hasPrefix(LoadedLayers.environmentPrefix) {
            guard !name.contains("__") else { continue }
            for section in sections {
                for setting in section.settings {
                    let right = setting.variable(in: section.name)
                    guard single(right) == name else { continue }
                    report(
                        SettingsProblem(
                            origin: .environment(name), key: nil, text: "no such setting", suggestion: right))
                }
            }
        }
    }

    /// Files first and by line, then the environment, the command line, and what is nowhere.
    private func order(_ problem: SettingsProblem, _ offset: Int) -> (Int, String, Int, Int, Int) {
        switch problem.origin {
        case .file(let path, let position):
            (paths.firstIndex(of: path) ?? 0, "", position?.line ?? 0, position?.column ?? 0, offset)
        case .environment(let name): (paths.count, name, 0, 0, offset)
        case .commandLine(let key): (paths.count + 1, key, 0, 0, offset)
        case .defaultValue, nil: (paths.count + 2, "", 0, 0, offset)
        }
    }
}
