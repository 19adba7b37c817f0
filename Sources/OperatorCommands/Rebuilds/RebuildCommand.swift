internal import ArgumentParser
internal import Catalog
internal import Kafka
internal import Postgres
internal import ProjectionPrograms
internal import ReadModels

/// `millrace rebuild`: a read model anew from Kafka, beside the one that answers.
struct RebuildCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild",
        abstract: "Builds a read model anew from Kafka beside the live one, and puts it in its place.",
        discussion: """
            `start` makes the next version and fills it; `promote` verifies it and shows it to readers, who notice \
            nothing; `retire` drops the version before. `abort` instead of `promote` drops the new one. Each step can be \
            repeated: whatever ends it, the same command goes on. docs/operations.md explains more.

            \(exitCodes)
            """,
        subcommands: [
            StartRebuild.self, RebuildStatus.self, PromoteRebuild.self, AbortRebuild.self, RetireVersions.self,
        ])

    static let exitCodes = """
        Exit codes: 0 done · 1 a step is refused, an event cannot be applied, or something differs · 64 wrong usage · \
        69 a server cannot be reached or refuses · 78 the configuration or the database schema is wrong.
        """
}

/// Which read model, and where it is.
struct RebuildOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The projection: \(names).", valueName: "projection"))
    var name: String

    @OptionGroup var database: DatabaseOptions

    private static let names = Catalog.versioned.map(\.model.name).joined(separator: " or ")

    func validate() throws {
        if projection == nil { throw ValidationError("\(name) is none of \(Self.names).") }
    }

    private var projection: VersionedProjection? { Catalog.versioned.first { $0.model.name == name } }

    /// The projection, and the database that has its read model.
    func resolved() throws -> (projection: VersionedProjection, postgres: PostgresConfiguration) {
        guard let projection else { throw ValidationError("\(name) is none of \(Self.names).") }
        return (projection, try database.configuration(applicationName: "millrace-rebuild"))
    }

    func rebuild() throws -> Rebuild {
        let (projection, postgres) = try resolved()
        return Rebuild(projection.model, postgres)
    }
}

/// `millrace rebuild abort`.
struct AbortRebuild: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "abort", abstract: "Drops the version that is being built; the live one stays as it is.",
        discussion: "What fills the version ends by itself.\n\n\(RebuildCommand.exitCodes)")

    @OptionGroup var options: RebuildOptions

    func run() async throws {
        let version = try await options.rebuild().abort()
        print("dropped \(version)")
    }
}

/// `millrace rebuild retire`.
struct RetireVersions: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retire", abstract: "Drops the versions that another one took the place of.",
        discussion: """
            Their tables, offsets, parked events and processed events are gone then; what operators decided about \
            single events is kept.

            \(RebuildCommand.exitCodes)
            """)

    @OptionGroup var options: RebuildOptions

    func run() async throws {
        for version in try await options.rebuild().retire() { print("dropped \(version)") }
    }
}
