/// The settings of a program: a plain value whose initializer declares and reads each of them.
///
/// A single call contains everything about a setting (name, default, range, explanation). So the reading, the commented
/// default file, the check for unknown keys and `config show` cannot contradict each other.
public protocol SettingsDeclaration: Sendable {
    /// Declares every setting, whatever was read before. The declarations must not depend on the values of settings.
    init(from reader: SettingsReader)
}

extension SettingsDeclaration {
    /// Reads the configuration.
    ///
    /// - Throws: all problems of all layers.
    public static func load(_ sources: SettingsSources) throws(InvalidSettings) -> LoadedSettings<Self> {
        let reader = SettingsReader(sources)
        let settings = Self(from: reader)
        let problems = reader.finish()
        guard problems.isEmpty else { throw InvalidSettings(problems: problems) }
        return LoadedSettings(settings: settings, warnings: reader.warnings, sections: reader.sections)
    }
}

extension SettingsDeclaration {
    /// The settings if nothing is configured. Required settings have an empty value.
    public static var defaults: Self { Self(from: SettingsReader(SettingsSources())) }

    /// The names of all sections.
    public static var sectionNames: [String] {
        let reader = SettingsReader(SettingsSources())
        _ = Self(from: reader)
        return reader.sections.map(\.name)
    }
}

/// A configuration that was read, with the origin of each value.
public struct LoadedSettings<Settings: SettingsDeclaration>: Sendable {
    public let settings: Settings
    /// Problems that do not prevent the start but should be corrected: secret files that other users can read.
    public let warnings: [String]
    let sections: [DeclaredSection]
}

/// Collects the declarations of a ``SettingsDeclaration``, and returns the values from the layers.
///
/// If a setting is invalid, the problem is noted and the default is returned, so that all problems are reported
/// together.
public final class SettingsReader {
    let sources: SettingsSources
    /// The layers, the highest first.
    let layers: [SettingsLayer]
    var sections: [DeclaredSection] = []
    private var problems: [SettingsProblem]
    private(set) var warnings: [String] = []
    private let paths: [String]
    /// Whether a file could not be read. Settings are then not reported as missing.
    let isIncomplete: Bool

    init(_ sources: SettingsSources) {
        let loaded = LoadedLayers(sources)
        self.sources = sources
        layers = [loaded.commandLine, loaded.environment] + loaded.files.reversed()
        problems = loaded.problems
        paths = loaded.paths
        isIncomplete = loaded.files.count < loaded.paths.count
    }

    /// Declares a section.
    ///
    /// - Parameters:
    ///   - name: the name in the file, `[name]`. `outer.inner` is a section within one that was declared before.
    ///   - documentation: one sentence that the default file shows above the section.
    public func section(_ name: String, _ documentation: String) -> SectionReader {
        declare(name, at: name.split(separator: ".").map(String.init), documentation)
    }

    /// Declares a section whose keys are free names, each with a section of its own: `[outer."any name"]`.
    ///
    /// The names come from the layers. So the sections must have equal declarations.
    ///
    /// - Parameters:
    ///   - outer: the name of the outer section.
    ///   - documentation: one sentence about each of the sections.
    /// - Returns: the sections, ordered by their free names.
    public func sections(
        in outer: String, _ documentation: String
    ) -> [(freeName: String, section: SectionReader)] {
        let outerSection = section(outer, documentation)
        let names = layers.reduce(into: Set<String>()) { names, layer in
            guard case .table(let table)? = layer.value(at: outerSection.path)?.value else { return }
            names.formUnion(table.keys)
        }
        return names.sorted().map { name in
            (name, declare("\(outer).\(TOMLText.key(name))", at: outerSection.path + [name], documentation))
        }
    }

    private func declare(_ name: String, at path: [String], _ documentation: String) -> SectionReader {
        precondition(!sections.contains { $0.path == path }, "section \(name) is declared twice")
        sections.append(DeclaredSection(name: name, path: path, documentation: documentation))
        return SectionReader(reader: self, name: name, path: path, index: sections.count - 1)
    }

    func report(_ problem: SettingsProblem) {
        problems.append(problem)
    }

    /// Reads a secret, and notes a warning if other users can read its file.
    func resolve(_ reference: SecretReference) throws(Rejection) -> Secret {
        let secret = try reference.resolve(sources)
        if let path = reference.filePath(sources) { noteSecretFile(path) }
        return secret
    }

    /// The path of a file that the program itself reads.
    func file(_ name: String, isSecret: Bool, namedAt origin: Origin) -> String {
        let path = SecretReference(file: name, namedAt: origin).filePath(sources) ?? name
        if isSecret { noteSecretFile(path) }
        return path
    }

    private func noteSecretFile(_ path: String) {
        if let exposure = exposure(ofSecretFile: path), !warnings.contains(exposure) { warnings.append(exposure) }
    }

    /// The effective value of a setting: that of the highest layer that contains it.
    ///
    /// - Parameter path: the path of its section.
    func value(of setting: DeclaredSetting, at path: [String]) -> LocatedValue? {
        for (depth, layer) in layers.enumerated() {
            if let found = layer.value(at: path + [setting.key]) { return found }
            // A variable with a common name comes directly below the variables MILLRACE_….
            if depth == 1, let name = setting.environmentName, let text = sources.environment[name], !text.isEmpty {
                return LocatedValue(origin: .environment(name), value: .text(text))
            }
        }
        return nil
    }

    /// - Returns: all problems, including unknown keys, ordered by layer, file and line.
    func finish() -> [SettingsProblem] {
        for layer in layers { reportUnknown(in: layer) }
        reportMistakenVariables()
        return problems.enumerated()
            .sorted { order($0.element, $0.offset) < order($1.element, $1.offset) }
            .map(\.element)
    }

    private func reportUnknown(in layer: SettingsLayer) {
        let outer = sections.filter { $0.path.count == 1 }.map(\.name)
        for (name, value) in layer.root {
            if let section = sections.first(where: { $0.path == [name] }) {
                reportUnknown(in: value, of: section)
            } else if !sources.foreignSections.contains(name) {
                let isTable = if case .table = value.value { true } else { false }
                report(
                    SettingsProblem(
                        origin: value.origin, key: name, text: isTable ? "unknown section" : "unknown key",
                        suggestion: closestName(to: name, among: outer)))
            }
        }
    }

    private func reportUnknown(in value: LocatedValue, of section: DeclaredSection) {
        guard case .table(let keys) = value.value else {
            report(
                SettingsProblem(
                    origin: value.origin, key: section.name,
                    text: "expected a section, [\(section.name)], found \(value.value.kind)"))
            return
        }
        let settings = section.settings.map(\.key)
        for (key, value) in keys where !settings.contains(key) {
            if let inner = sections.first(where: { $0.path == section.path + [key] }) {
                reportUnknown(in: value, of: inner)
            } else {
                report(
                    SettingsProblem(
                        origin: value.origin, key: "\(section.name).\(key)", text: "unknown key",
                        suggestion: suggestion(for: key, among: settings)))
            }
        }
    }

    /// A similar name in the same section, or else the same name in another section.
    private func suggestion(for key: String, among siblings: [String]) -> String? {
        if let near = closestName(to: key, among: siblings) { return near }
        let elsewhere = sections.first { $0.settings.contains { $0.key == key } }
        return elsewhere.map { "\($0.name).\(key)" }
    }

    /// Reports variables such as `MILLRACE_LOG_LEVEL` instead of `MILLRACE_LOG__LEVEL`, which would have no effect.
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

    /// The order of problems: files by line, then the environment, the command line, and problems without a place.
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
