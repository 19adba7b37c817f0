public import Daemon
public import Settings

/// The properties of a daemon that can be used without running it.
public struct CatalogDaemon: Sendable {
    public let name: String
    /// The consumers that it runs with the default settings.
    public let consumers: [Consumption]
    /// Whether the daemon has work with the default settings.
    public let worksByDefault: Bool
    /// Whether an installation may omit the daemon.
    public let isOptional: Bool
    /// The migration sets that it needs with the default settings.
    public let migrationSets: [String]
    /// Whether a database with these migration sets can be one of the daemon's.
    public let canUse: @Sendable (_ migrationSets: Set<String>) -> Bool
    /// The sections of its settings.
    public let sections: Set<String>
    /// The commented configuration file with all defaults, which is the content of `config/<name>.toml`.
    public let defaultFile: @Sendable () -> String
    private let read: @Sendable (SettingsSources, Bool) throws(InvalidSettings) -> String
    private let sets: @Sendable (SettingsSources) throws(InvalidSettings) -> [String]

    init<Program: DaemonProgram>(_: Program.Type) {
        typealias Settings = DaemonSettings<Program>
        name = Program.name
        consumers = Program.consumers
        worksByDefault = Program.worksByDefault
        isOptional = Program.isOptional
        migrationSets = Program.migrationSets(for: Settings.defaults.feature)
        canUse = { Program.canUse(migrationSets: $0) }
        sections = Set(Settings.sectionNames)
        defaultFile = { Settings.defaultFile(of: Program.name) }
        read = { sources, origins throws(InvalidSettings) in try Settings.load(sources).report(origins: origins) }
        sets = { sources throws(InvalidSettings) in
            Program.migrationSets(for: try OwnSettings<Program>.load(sources).settings.feature)
        }
    }

    /// The migration sets that the daemon needs with the settings of a file, the folder `conf.d` beside it, and the
    /// environment. The sections that all daemons have, such as `[postgres]`, are not read, so that their secrets need
    /// not be readable.
    ///
    /// - Parameters:
    ///   - file: the configuration file.
    ///   - environment: the environment variables.
    public func migrationSets(file: String, environment: [String: String]) throws(InvalidSettings) -> [String] {
        try sets(
            SettingsSources(
                file: file, environment: environment, foreignSections: SharedSections.names.union(sections)))
    }

    /// The effective settings as TOML, with secrets hidden.
    ///
    /// - Parameters:
    ///   - file: the configuration file; nil for none.
    ///   - overrides: the arguments of `--set`.
    ///   - environment: the environment variables.
    ///   - origins: whether each line shows the origin of its value.
    public func report(
        file: String?, overrides: [String] = [],
        environment: [String: String], origins: Bool
    ) throws(InvalidSettings) -> String {
        try read(
            SettingsSources(
                file: file, environment: environment, overrides: overrides, foreignSections: SharedSections.names),
            origins)
    }
}

/// The settings that only one daemon has.
private struct OwnSettings<Program: DaemonProgram>: SettingsDeclaration {
    let feature: Program.Feature

    init(from reader: SettingsReader) {
        feature = Program.Feature(from: reader)
    }
}
