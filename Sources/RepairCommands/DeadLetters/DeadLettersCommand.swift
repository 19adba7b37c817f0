package import ArgumentParser
internal import CommandSupport
internal import DeadLetters
package import Events

/// Knows the formats of the events that consumers read. The catalog of the daemons conforms to it, which this module
/// does not depend on.
package protocol ConsumerCodecs {
    /// The codec that checks a consumer's events. For an unknown consumer it checks only the envelope.
    static func codec(of consumer: String) -> EventCodec
}

/// `millrace dead-letters`: manages events that could not be applied.
package struct DeadLettersCommand<Codecs: ConsumerCodecs>: AsyncParsableCommand {
    package static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "dead-letters",
            abstract: "Lists, groups and shows dead letters; retries, discards, restores, edits and exports them.",
            discussion: """
                Start with `groups`, `show` the example of a group, remove the cause, then `retry --group`. Commands \
                that change letters are a dry run unless you give --execute. They write the operator and the reason \
                into each letter's history. docs/dead-letters.md explains states and order.

                \(DeadLettersHelp.exitCodes)
                """,
            subcommands: [
                ListLetters.self, ListGroups.self, ShowLetter.self, RetryLetters.self, DiscardLetters.self,
                RestoreLetters.self, EditLetter<Codecs>.self, ExportLetters.self,
            ])
    }

    package init() {}
}

/// The texts that the help of several commands contains.
enum DeadLettersHelp {
    static let exitCodes = """
        Exit codes: 0 done, or shown by the dry run · 1 no such letter or group, nothing matched, or none of the \
        letters may be changed · 64 wrong usage · 65 the edited value is not a valid event · 69 the database is \
        unreachable or refuses · 70 internal error · 78 the configuration or the database schema is wrong.
        """
}

extension ExitCode {
    /// `EX_DATAERR` of sysexits.h: the given data is invalid.
    static let wrongData = ExitCode(65)
}

extension DatabaseOptions {
    /// Runs `body` with the letters of the database.
    func withDeadLetters<Result>(_ body: (DeadLetterStore) async throws -> Result) async throws -> Result {
        try await withSession(
            named: "millrace-dead-letters", statementTimeoutMs: 300_000,
            tables: (of: "the dead letters", sets: ["dead-letters"]),
            explain: { error in
                (error as? DeadLetterStore.NameError).map {
                    CommandFailure("\($0). `millrace dead-letters groups` lists the groups.", .nothingMatched)
                }
            }
        ) { try await body(DeadLetterStore($0)) }
    }
}
