internal import ArgumentParser
internal import CommandSupport
internal import ProcessManagers
internal import StreamCore

/// `millrace process list`.
struct ListProcesses: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Shows processes that stopped, the longest ago first; others with --stage or --open.",
        discussion: ProcessCommand.exitCodes)

    @OptionGroup var options: ProcessOptions

    @Option(help: "The stage of the processes.")
    var stage = "stopped"

    @Flag(help: "All processes that are not finished.")
    var open = false

    @Option(help: "Maximum number of processes, up to 1000.")
    var limit = 50

    @Option(name: .shortAndLong, help: "table, json, or jsonl: one object a line.")
    var output = OutputFormat.table

    func validate() throws {
        guard (1...1_000).contains(limit) else { throw ValidationError("--limit must be 1 to 1000.") }
    }

    func run() async throws {
        let filter = ProcessRegistry.Filter(process: options.process, stage: open ? nil : stage)
        let rows = try await options.withProcesses { try await $0.list(filter, limit: limit) }
        switch output {
        case .json: print(JSONText.page(rows.map { ProcessJSON.Summary($0) }))
        case .jsonl: for row in rows { print(JSONText.line(ProcessJSON.Summary(row))) }
        case .table: print(rows.isEmpty ? "no processes" : Self.table(rows, now: .now))
        }
        if rows.isEmpty { throw ExitCode.nothingMatched }
    }

    static func table(_ rows: [ProcessRegistry.Row], now: Timestamp) -> String {
        var table = TextTable(["PROCESS", "STAGE", "FOR", "STEPS", "DUE", "STATE"])
        for row in rows {
            table.add([
                TextTable.cut(TextFormat.text(row.id), to: 40), TextFormat.text(row.stage),
                TextFormat.age(of: row.updatedAt, now: now), String(row.stepCount), TextFormat.time(row.dueAt),
                TextTable.cut(TextFormat.text(row.state), to: 100),
            ])
        }
        return table.text
    }
}
