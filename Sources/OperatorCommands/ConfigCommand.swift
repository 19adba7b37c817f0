internal import ArgumentParser
internal import Catalog
internal import Foundation
internal import Settings

/// `millrace config`: what a daemon is configured to do, and why.
struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Shows what a daemon is configured to do, and its commented defaults.",
        discussion: "Daemons: \(Catalog.daemons.map(\.name).joined(separator: ", ")).",
        subcommands: [Show.self, Default.self])

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows the settings that count, with secrets hidden.",
            discussion: """
                Layers: defaults < the file < conf.d/*.toml beside it < MILLRACE_SECTION__KEY < --set. Exit code 78 \
                with all problems when there are any.
                """)

        @Argument(help: "The daemon's name.")
        var daemon: String

        @Option(help: "The configuration file.")
        var config: String?

        @Option(
            name: .customLong("set"),
            help: ArgumentHelp("Overrides a setting; may be repeated.", valueName: "section.key=value"))
        var overrides: [String] = []

        @Flag(help: "Also shows where each value came from.")
        var origin = false

        func run() throws {
            let report = try ConfigCommand.entry(daemon).report(
                file: config, overrides: overrides, environment: ProcessInfo.processInfo.environment, origins: origin)
            print(report, terminator: report.hasSuffix("\n") ? "" : "\n")
        }
    }

    struct Default: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Prints the commented file of all defaults.")

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
