internal import ArgumentParser
internal import Catalog
internal import Foundation
internal import Settings

/// `millrace config`: shows the settings of a daemon.
struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Shows the settings of a daemon, and its commented defaults.",
        discussion: "Daemons: \(Catalog.daemons.map(\.name).joined(separator: ", ")).",
        subcommands: [Show.self, Default.self])

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows the effective settings. Secrets are hidden.",
            discussion: """
                Layers: defaults < the file < conf.d/*.toml beside it < MILLRACE_SECTION__KEY < --set. Exit code 78 \
                and a list of all problems if the configuration is wrong.
                """)

        @Argument(help: "The daemon's name.")
        var daemon: String

        @Option(help: "The configuration file.")
        var config: String?

        @Option(
            name: .customLong("set"),
            help: ArgumentHelp("Overrides a setting; may be repeated.", valueName: "section.key=value"))
        var overrides: [String] = []

        @Flag(help: "Also shows the layer of each value.")
        var origin = false

        func run() throws {
            let report = try ConfigCommand.entry(daemon).report(
                file: config, overrides: overrides, environment: ProcessInfo.processInfo.environment, origins: origin)
            print(report, terminator: report.hasSuffix("\n") ? "" : "\n")
        }
    }

    struct Default: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints a commented configuration file with all defaults.")

        @Argument(help: "The daemon's name.")
        var daemon: String

        func run() throws {
            print(try ConfigCommand.entry(daemon).defaultFile(), terminator: "")
        }
    }

    private static func entry(_ name: String) throws -> CatalogDaemon {
        guard let entry = Catalog.daemon(named: name) else {
            let names = Catalog.daemons.map(\.name).joined(separator: ", ")
            throw ValidationError("There is no daemon \(name). Daemons: \(names).")
        }
        return entry
    }
}
