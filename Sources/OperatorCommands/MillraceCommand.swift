public import ArgumentParser
internal import Catalog
internal import CommandSupport
internal import Daemon
internal import Foundation
internal import ProjectionCommands
internal import RepairCommands
internal import StreamCore

/// `millrace`, the command line for operators. It reads the arguments and runs a subcommand.
public struct MillraceCommand: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "millrace",
        abstract: "Operates Millrace, which carries events from PostgreSQL through Kafka into read models.",
        discussion: """
            A command finds the database and Kafka by its options, else by DATABASE_URL and \
            KAFKA_BOOTSTRAP_SERVERS, else by a `millrace dev` that runs in this folder.

            Exit codes: 0 done · 1 or 2 the command found a problem or nothing that matches, as its own help explains \
            · 64 wrong usage · 69 a server is unreachable or refuses · 70 internal error · 78 the configuration or the \
            database schema is wrong.
            """,
        version: Release.version,
        subcommands: [
            DevCommand.self, MigrateCommand.self, LoadCommand.self, VerifyCommand.self, TailCommand.self,
            TraceCommand.self, LagCommand.self, DoctorCommand.self, StatusCommand.self,
            OutboxCommand.self, ProjectionCommand.self, RebuildCommand.self, PauseCommand.self, ResumeCommand.self,
            DeadLettersCommand<Catalog>.self, ProcessCommand.self, ConfigCommand.self,
        ])

    public init() {}

    /// Parses the arguments of the process, runs the command, and exits with its code.
    public static func runToExit() async -> Never {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
            exit()
        } catch {
            guard let failure = CommandFailure(explaining: error) else { exit(withError: error) }
            // A message may contain text of a server or a record.
            StandardError.write("millrace: \(PrintableText.escapedLines(failure.message))\n")
            Foundation.exit(failure.exitCode.rawValue)
        }
    }
}

/// `millrace dead-letters edit` checks an event as the daemons do.
extension Catalog: ConsumerCodecs {}
