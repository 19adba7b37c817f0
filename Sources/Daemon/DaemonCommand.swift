internal import ArgumentParser
internal import Foundation
internal import Migrations
internal import Settings

extension DaemonProgram {
    /// Runs the whole executable: reads the command line and the configuration, works, and exits with a ``DaemonExit``.
    public static func main() async {
        // `--check` alone means `--check=offline`. The parser does not support options with an optional value.
        let arguments = CommandLine.arguments.dropFirst().map { $0 == "--check" ? "--check=offline" : $0 }
        await DaemonCommand<Self>.main(arguments)
    }
}

/// The command line of all daemons.
struct DaemonCommand<Program: DaemonProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: Program.name,
            abstract: Program.abstract,
            discussion: """
                Settings come from the file, the files of the folder conf.d beside it, the environment \
                (MILLRACE_SECTION__KEY, KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL) and --set. A later source overrides \
                an earlier one. `millrace config default \(Program.name)` shows all settings.

                Exit codes: 0 stopped as requested · 64 wrong usage · 69 --check=online could not reach a server · 70 \
                internal error · 75 temporary failure, a restart may help · 78 the configuration or the database \
                schema is wrong (only at the start) · 130 (SIGINT), 143 (SIGTERM) a second signal during a shutdown.
                """,
            version: Release.version)
    }

    @Option(
        name: .shortAndLong, help: "The configuration file. Without it, settings come from the environment and --set.")
    var config: String?

    @Option(
        name: .customLong("set"), parsing: .singleValue,
        help: ArgumentHelp("Sets one setting; may be repeated.", valueName: "section.key=value"))
    var overrides: [String] = []

    @Option(
        help: ArgumentHelp(
            "Only checks the configuration; with =online also the database, its schema and the brokers.",
            valueName: "mode"))
    var check: CheckMode?

    @OptionGroup var options: Program.Options

    @Flag(help: "Only applies missing migrations, and exits.")
    var migrate = false

    func validate() throws {
        if migrate, check != nil { throw ValidationError("--migrate and --check cannot be combined.") }
    }

    func run() async throws {
        let exit = await start()
        if exit != .ok { throw ExitCode(exit.rawValue) }
    }

    private func start() async -> DaemonExit {
        ProcessStart.prepare()
        let environment = ProcessInfo.processInfo.environment
        let sources = SettingsSources(
            file: config, environment: environment, overrides: overrides + options.settings,
            foreignSections: SharedSections.names)
        if migrate { return await applyMigrations(sources) }
        let loaded: LoadedSettings<DaemonSettings<Program>>
        do {
            loaded = try DaemonSettings<Program>.load(sources)
        } catch {
            StandardError.write("\(error)")
            return .configuration
        }
        if check != nil { for warning in loaded.warnings { StandardError.write("warning: \(warning)") } }
        switch check {
        case .offline:
            print("the configuration is valid")
            return .ok
        case .online:
            return await OnlineCheck<Program>(settings: loaded.settings).run()
        case nil:
            return await DaemonRun<Program>(loaded, from: sources).run()
        }
    }

    private func applyMigrations(_ sources: SettingsSources) async -> DaemonExit {
        var sources = sources
        sources.foreignSections.formUnion(DaemonSettings<Program>.sectionNames)
        let settings: MigrationSettings<Program>
        do {
            settings = try MigrationSettings<Program>.load(sources).settings
        } catch {
            StandardError.write("\(error)")
            return .configuration
        }
        let migrator = Migrator(settings.postgres.configuration, catalog: Program.migrations)
        do {
            let applied = try await migrator.up(Program.migrationSets(for: settings.feature))
            for migration in applied { print("applied \(migration)") }
            if applied.isEmpty { print("the schema is up to date") }
            return .ok
        } catch {
            StandardError.write("postgres: \(error)")
            return DaemonExit(error)
        }
    }
}

/// What `--check` verifies.
enum CheckMode: String, ExpressibleByArgument, CaseIterable, Sendable {
    case offline, online
}
