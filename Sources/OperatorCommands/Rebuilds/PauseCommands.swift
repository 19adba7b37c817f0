internal import ArgumentParser
internal import Catalog
internal import CommandSupport
internal import Foundation
internal import Postgres
internal import ProjectionPrograms
internal import ReadModels
internal import SQLProjections

/// `millrace pause`.
struct PauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Stops a consumer until it is resumed.",
        discussion: """
            The consumer's daemons commit their current batch, leave the consumer group within seconds, and stay up. A \
            restart does not end the pause. The read model stays readable but does not change. `millrace lag`, \
            `millrace status` and the metric millrace_projection_paused show the pause.

            \(PausedConsumer.exitCodes)
            """)

    @OptionGroup var consumer: PausedConsumer

    @Option(help: "The reason, for other operators.")
    var reason: String

    @Option(name: .customLong("as"), help: "The operator (default: $SUDO_USER, else $USER).")
    var actor: String?

    func run() async throws {
        guard let actor = AuditOptions.actor(given: actor, environment: ProcessInfo.processInfo.environment) else {
            throw ValidationError("Neither SUDO_USER nor USER is set: give your name with --as.")
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
        commandName: "resume", abstract: "Continues a paused consumer where it stopped.",
        discussion: PausedConsumer.exitCodes)

    @OptionGroup var consumer: PausedConsumer

    func run() async throws {
        let wasPaused = try await consumer.withSession {
            try await ConsumerPauses.resume(consumer.name, on: $0)
        }
        print(wasPaused ? "\(consumer.name) continues" : "\(consumer.name) was not paused")
        if !wasPaused { throw ExitCode.nothingMatched }
    }
}

/// Selects a consumer.
struct PausedConsumer: ParsableArguments {
    static let exitCodes = """
        Exit codes: 0 done · 1 the consumer is unknown, or `resume` found no pause · 64 wrong usage · 69 the database \
        cannot be reached or refuses · 78 the configuration or the database schema is wrong.
        """

    @Argument(help: ArgumentHelp("The consumer: \(names), or a projection in SQL.", valueName: "consumer"))
    var name: String

    @OptionGroup var database: DatabaseOptions

    private static let names = Catalog.versioned.map(\.model.name).joined(separator: ", ")

    func validate() throws {
        guard ProjectionFolder.isName(name) else {
            throw ValidationError("\(name) is not a valid name of a projection.")
        }
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
