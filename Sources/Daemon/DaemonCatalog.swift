public import Settings

/// Every daemon of Millrace, for what is done with their configurations without running them.
public enum DaemonCatalog {
    /// In the order of a record's way.
    public static let all: [Entry] = [
        Entry(OutboxRelayProgram.self), Entry(OrderSummaryProgram.self), Entry(DashboardProgram.self),
        Entry(DeadLetterHandlerProgram.self), Entry(QueryServiceProgram.self),
    ]

    /// - Returns: nil when no daemon has this name.
    public static func entry(named name: String) -> Entry? {
        all.first { $0.name == name }
    }

    /// The sections that only some daemons have: one file or environment may serve several.
    static let featureSections: Set<String> = [
        "relay", "projection", "dashboard", "dead_letters", "letters", "retries", "alerts", "http",
        "queries", "page",
    ]

    /// One daemon.
    public struct Entry: Sendable {
        public let name: String
        /// The commented configuration file with all defaults: what `config/<name>.toml` holds.
        public let defaultFile: @Sendable () -> String
        private let read: @Sendable (SettingsSources, Bool) throws(InvalidSettings) -> String

        init<Program: DaemonProgram>(_: Program.Type) {
            name = Program.name
            defaultFile = { DaemonSettings<Program>.defaultFile(of: Program.name) }
            read = { sources, origins throws(InvalidSettings) in
                try DaemonSettings<Program>.load(sources).report(origins: origins)
            }
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
                    file: file, environment: environment, overrides: overrides, foreignSections: featureSections),
                origins)
        }
    }
}
