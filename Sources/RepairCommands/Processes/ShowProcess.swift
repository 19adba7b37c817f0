internal import ArgumentParser
internal import CommandSupport
internal import ProcessManagers
internal import StreamCore

/// `millrace process show`.
struct ShowProcess: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows a process: its state, and each step of its history.",
        discussion: ProcessCommand.exitCodes)

    @OptionGroup var options: ProcessOptions

    @Argument(help: "The process: the id of the order, for example.")
    var id: String

    @Option(name: .shortAndLong, help: "table, json, or jsonl: the same on one line.")
    var output = OutputFormat.table

    func run() async throws {
        let found = try await options.withProcesses { try await Self.find(options.process, id, in: $0) }
        guard let (row, history) = found else {
            throw CommandFailure("process \(options.process) \(id) does not exist", .nothingMatched)
        }
        switch output {
        case .table: print(Self.text(row, history, now: .now))
        case .json: print(JSONText.page(ProcessJSON.Detail(row, history)))
        case .jsonl: print(JSONText.line(ProcessJSON.Detail(row, history)))
        }
    }

    /// - Returns: a process in any stage, with its history; nil if there is none.
    static func find(
        _ process: String, _ id: String, in registry: ProcessRegistry
    ) async throws -> (row: ProcessRegistry.Row, history: [ProcessRegistry.Step])? {
        guard let row = try await registry.find(process, id) else { return nil }
        return (row, try await registry.history(of: process, id))
    }

    static func text(_ row: ProcessRegistry.Row, _ history: [ProcessRegistry.Step], now: Timestamp) -> String {
        var lines = [
            "process   \(TextFormat.text(row.process)) \(TextFormat.text(row.id))",
            "stage     \(TextFormat.text(row.stage))\(row.isFinished ? "; finished" : "")",
            "started   \(TextFormat.time(row.startedAt)) (\(TextFormat.age(of: row.startedAt, now: now)) ago)",
            "changed   \(TextFormat.time(row.updatedAt)) (\(TextFormat.age(of: row.updatedAt, now: now)) ago)",
            "due       \(TextFormat.time(row.dueAt))",
            "state     \(TextFormat.text(row.state))",
            "",
        ]
        var table = TextTable(["STEP", "AT", "WHAT", "OUTCOME", "STAGE"])
        for step in history {
            table.add([
                String(step.number), TextFormat.time(step.at), TextFormat.text(step.step),
                TextFormat.text(step.outcome), TextFormat.text(step.stage),
            ])
        }
        lines.append(table.text)
        return lines.joined(separator: "\n")
    }
}
