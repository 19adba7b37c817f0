package import ArgumentParser
internal import CommandSupport
internal import Postgres
internal import ProcessManagers

/// `millrace process`: the processes that react to events with commands.
package struct ProcessCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "process",
        abstract: "Lists and shows processes such as those of order-process, and resumes stopped processes.",
        discussion: """
            A process stops if a rule refuses a step, and the process can neither continue nor undo its earlier steps. \
            Its history names the rule. Correct the cause, and then run `millrace process resume`. This command is a \
            dry run unless you give --execute. It writes the operator and the reason into the history of the process.

            \(exitCodes)
            """,
        subcommands: [ListProcesses.self, ShowProcess.self, ResumeProcesses.self])

    package init() {}

    static let exitCodes = """
        Exit codes: 0 done, or shown by the dry run · 1 no such process, or nothing matched · 64 wrong usage · 69 the \
        database is unreachable or refuses · 70 internal error · 78 the configuration or the database schema is wrong.
        """
}

/// The options for the database, and for the kind of process.
struct ProcessOptions: ParsableArguments {
    @OptionGroup var database: DatabaseOptions

    @Option(help: "The kind of process.")
    var process = "order-process"

    /// Runs `body` with the processes of the database.
    func withProcesses<Result>(_ body: (ProcessRegistry) async throws -> Result) async throws -> Result {
        try await database.withSession(named: "millrace-process", tables: (of: "processes", sets: ["processes"])) {
            try await body(ProcessRegistry($0))
        }
    }
}
