internal import ArgumentParser
internal import DeadLetters
internal import Foundation

/// `millrace dead-letters`: manages events that could not be applied.
struct DeadLettersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead-letters",
        abstract: "Lists, groups and shows dead letters; retries, discards, restores, edits and exports them.",
        discussion: """
            Start with `groups`, `show` the example of a group, remove the cause, then `retry --group`. Commands that \
            change letters are a dry run unless you give --execute. They write the operator and the reason into each \
            letter's history. docs/dead-letters.md explains states and order.

            \(exitCodes)
            """,
        subcommands: [
            ListLetters.self, ListGroups.self, ShowLetter.self, RetryLetters.self, DiscardLetters.self,
            RestoreLetters.self, EditLetter.self, ExportLetters.self,
        ])

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
