internal import ArgumentParser
internal import Catalog
internal import CommandSupport
internal import Migrations

/// `millrace migrate`: applies and checks the database schema.
struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Applies and checks the database schema.",
        discussion: """
            Daemons only check the schema. This command changes it.

            Without --daemon and --set, the command uses the migration sets of all daemons and of the demo shop. An \
            installation for your own events needs fewer: name its daemons with --daemon. The settings of a daemon \
            decide which sets it needs. They are the default settings, or those of its file in the folder of --config.
            """,
        subcommands: [Up.self, Status.self, Verify.self])

    /// Selects migration sets.
    struct Sets: ParsableArguments {
        @Option(
            name: .customLong("set"),
            help: ArgumentHelp(
                "A migration set; may be repeated. The default is \(standard.joined(separator: ", ")); "
                    + "others: \(others.joined(separator: ", ")).",
                valueName: "set"))
        var chosen: [String] = []

        @OptionGroup var installation: InstallationOptions

        /// The sets of the named daemons, and those that are named themselves.
        func names() throws -> [String] {
            let sets = try installation.migrationSets()
            let names = sets + chosen.filter { !sets.contains($0) }
            return names.isEmpty ? Self.standard : names
        }

        /// The sets that the demo shop and the daemons need, in the order in which they are applied.
        static let standard = Catalog.migrationSets
        private static let others = MigrationCatalog.embedded.sets.filter { !standard.contains($0) }
    }

    struct Up: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Applies missing migrations.")

        @OptionGroup var database: DatabaseOptions
        @OptionGroup var sets: Sets

        func run() async throws {
            let migrator = Migrator(try database.configuration(applicationName: "millrace-migrate"))
            let applied = try await migrator.up(sets.names())
            for migration in applied { print("applied \(migration)") }
            if applied.isEmpty { print("nothing to apply: the schema is up to date") }
        }
    }

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows each migration: applied, missing or changed.")

        @OptionGroup var database: DatabaseOptions
        @OptionGroup var sets: Sets

        func run() async throws {
            let migrator = Migrator(try database.configuration(applicationName: "millrace-migrate"))
            let all = try await migrator.status(sets.names())
            let width = all.map { "\($0.set) \($0.number) \($0.name)".count }.max() ?? 0
            for status in all {
                let name = "\(status.set) \(status.number) \(status.name)"
                let padding = String(repeating: " ", count: width - name.count)
                let detail = status.appliedAt.map { "  \($0)  \(status.appliedBy ?? "")" } ?? ""
                print("\(name)\(padding)  \(status.state.rawValue)\(detail)")
            }
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks that the schema matches this program.",
            discussion: "Exit code 78 if a migration is missing, changed or unknown.")

        @OptionGroup var database: DatabaseOptions
        @OptionGroup var sets: Sets

        func run() async throws {
            let migrator = Migrator(try database.configuration(applicationName: "millrace-migrate"))
            let wrong = try await migrator.verify(sets.names())
            for status in wrong { print(status) }
            guard wrong.isEmpty else {
                throw CommandFailure(
                    "the schema does not match this program (\(wrong.count) differences); run "
                        + "`millrace migrate up` for missing ones", .configuration)
            }
            print("the schema matches this program")
        }
    }
}
