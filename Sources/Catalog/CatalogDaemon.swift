public import Daemon
public import Settings

/// One daemon, for what is done with it without running it.
public struct CatalogDaemon: Sendable {
    public let name: String
    /// What of Kafka it reads with the default settings.
    public let consumers: [Consumption]
    /// Whether there is something to do for it with the default settings.
    public let worksByDefault: Bool
    /// Whether an installation may go without it.
    public let isOptional: Bool
    /// The sets of migrations that it needs with the default settings.
    public let migrationSets: [String]
    /// The sections of its settings.
    public let sections: Set<String>
    /// The commented configuration file with all defaults: what `config/<name>.toml` holds.
    public let defaultFile: @Sendable () -> String
    private let read: @Sendable (SettingsSources, Bool) throws(InvalidSettings) -> String

    init<Program: DaemonProgram>(_: Program.Type) {
        typealias Settings = DaemonSettings<Program>
        name = Program.name
        consumers = Program.consumers
        worksByDefault = Program.worksByDefault
        isOptional = Program.isOptional
        migrationSets = Program.migrationSets(for: Settings.defaults.feature)
        sections = Set(Settings.sectionNames)
        defaultFile = { Settings.defaultFile(of: Program.name) }
        read = { sources, origins throws(InvalidSettings) in try Settings.load(sources).report(origins: origins) }
    }

    /// The settings that count, as TOML, secrets hidden.
    ///
    /// - Parameters:
    ///   - file: the configuration file; nil for none.
    ///   - overrides: the arguments of `--set`.
    ///   - origins: whether each line tells where its value came from.
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
