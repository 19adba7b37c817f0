internal import ArgumentParser
internal import Catalog
internal import Foundation
internal import Postgres
internal import ProjectionPrograms
internal import ReadModels
internal import SQLProjections

/// `millrace pause`.
struct PauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Lets a consumer take nothing more until it is resumed.",
        discussion: """
            Its daemons commit what they have, leave the consumer group within seconds, and stay up; a restart changes \
            nothing. What they answered stays, and becomes old. `millrace lag`, `millrace status` and the metric \
            millrace_projection_paused show it.

            \(PausedConsumer.exitCodes)
            """)

    @OptionGroup var consumer: PausedConsumer

    @Option(help: "Why: others read it.")
    var reason: String

    @Option(name: .customLong("as"), help: "Who does it (default: $SUDO_USER, else $USER).")
    var actor: String?

    func run() async throws {
        guard let actor = AuditOptions.actor(given: actor, environment: ProcessInfo.processInfo.environment) else {
            throw ValidationError("Neither SUDO_USER nor USER is set: say with --as who you are.")
        }
        let isNew = try await consumer.withSession {
            try await ConsumerPauses.pause(consumer.name, by: actor, reason: reason, on: $0)
        }
        print(isNew ? "\(consumer.name) is paused" : "\(consumer.name) was paused already")
    }
}

/// `millrace resume`.
struct ResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Lets a paused consumer go on where it stopped.",
        discussion: PausedConsumer.exitCodes)

    @OptionGroup var consumer: PausedConsumer

    func run() async throws {
        let wasPaused = try await consumer.withSession {
            try await ConsumerPauses.resume(consumer.name, on: $0)
        }
        print(wasPaused ? "\(consumer.name) goes on" : "\(consumer.name) was not paused")
        if !wasPaused { throw ExitCode.nothingMatched }
    }
}

/// Selects a consumer.
struct PausedConsumer: ParsableArguments {
    static let exitCodes = """
        Exit codes: 0 done · 1 `resume` found no pause · 64 wrong usage · 69 the database cannot be reached or refuses · \
        78 the configuration or the database schema is wrong.
        """

    @Argument(help: ArgumentHelp("The consumer: \(names), or a projection in SQL.", valueName: "consumer"))
    var name: String

    @OptionGroup var database: DatabaseOptions

    private static let names = Catalog.versioned.map(\.model.name).joined(separator: ", ")

    func validate() throws {
        guard ProjectionFolder.isName(name) else { throw ValidationError("\(name) is no name of a projection.") }
    }

    func withSession<Result>(_ body: (PostgresConnection) async throws -> Result) async throws -> Result {
        try await database.withSession(
            named: "millrace-pause", tables: (of: "projections", sets: ["projections"])
        ) { connection in
            guard try await !VersionTable.versions(of: name, on: connection).isEmpty else {
                throw CommandFailure(
                    "\(name) is none of \(Self.names), and the database has no projection in SQL of this name", .failure
                )
            }
            return try await body(connection)
        }
    }
}
