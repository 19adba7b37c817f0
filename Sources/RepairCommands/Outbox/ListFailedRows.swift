internal import ArgumentParser
internal import CommandSupport
internal import Outbox
internal import StreamCore

/// `millrace outbox failed list`.
struct ListFailedRows: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Shows rows that cannot be published, the oldest first; discarded ones with --all.",
        discussion: FailedRowsCommand.exitCodes)

    @OptionGroup var outbox: OutboxTableOptions
    @OptionGroup var filter: FailedRowFilter

    @Flag(help: "Also rows that were discarded.")
    var all = false

    @Option(help: "Rows a page, up to 1000.")
    var limit = 50

    @Option(help: "The next page: rows after this number.")
    var after = Int64.min

    @Option(name: .shortAndLong, help: "table, json, or jsonl: one object a line.")
    var output = OutputFormat.table

    func validate() throws {
        guard (1...1_000).contains(limit) else { throw ValidationError("--limit must be 1 to 1000.") }
    }

    func run() async throws {
        var filter = filter.filter
        filter.includesDiscarded = all
        let chosen = filter
        var rows = try await outbox.withFailures {
            try await $0.list(chosen, after: after, limit: limit + 1, on: $1)
        }
        let hasMore = rows.count > limit
        if hasMore { rows.removeLast() }
        let next = hasMore ? rows.last?.id : nil
        switch output {
        case .json: print(JSONText.page(FailedRowJSON.Page(rows: rows.map { .init($0) }, next: next)))
        case .jsonl: for row in rows { print(JSONText.line(FailedRowJSON.Summary(row))) }
        case .table: print(rows.isEmpty ? "no rows" : Self.table(rows, now: .now))
        }
        if let next, output != .json { StandardError.write("there are more: --after \(next)\n") }
        if rows.isEmpty { throw ExitCode.nothingMatched }
    }

    static func table(_ rows: [OutboxFailures.Row], now: Timestamp) -> String {
        var table = TextTable(["ROW", "AGE", "STATE", "CLASS", "AGGREGATE", "KEY", "EVENT", "MESSAGE"])
        for row in rows {
            table.add([
                String(row.id), TextFormat.age(of: row.failedAt, now: now),
                row.isDiscarded ? "discarded" : "failed", TextFormat.text(row.errorClass),
                text(row.aggregateType), TextTable.cut(text(row.key ?? row.aggregateID), to: 36),
                text(row.eventType), TextTable.cut(TextFormat.text(row.error), to: 80),
            ])
        }
        return table.text
    }

    private static func text(_ value: String?) -> String { value.map(TextFormat.text) ?? "-" }
}
