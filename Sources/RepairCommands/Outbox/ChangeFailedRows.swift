internal import ArgumentParser
internal import CommandSupport
internal import Outbox
internal import StreamCore

/// `millrace outbox failed retry`.
struct RetryFailedRows: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Puts rows back into the outbox, at their old position.",
        discussion: """
            The relay publishes these rows before the later rows of their keys. It sets a row aside again if it still \
            cannot publish it, so first correct the row in the table of failed rows. You may retry a discarded row by \
            its number, but the relay has already published later rows of its key.

            \(FailedRowsCommand.exitCodes)
            """)

    @OptionGroup var outbox: OutboxTableOptions
    @OptionGroup var rows: FailedRowSelection
    @OptionGroup var audit: AuditOptions

    @Option(name: .shortAndLong, help: "table, json or jsonl.")
    var output = OutputFormat.table

    func run() async throws {
        try await FailedRowChange(change: .retry, outbox: outbox, rows: rows).run(audit, output)
    }
}

/// `millrace outbox failed discard`.
struct DiscardFailedRows: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discard",
        abstract: "Gives up rows. They are never published, and the later rows of their keys continue.",
        discussion: """
            The rows stay in the table of failed rows. You can retry them by their numbers.

            \(FailedRowsCommand.exitCodes)
            """)

    @OptionGroup var outbox: OutboxTableOptions
    @OptionGroup var rows: FailedRowSelection
    @OptionGroup var audit: AuditOptions

    @Option(name: .shortAndLong, help: "table, json or jsonl.")
    var output = OutputFormat.table

    func run() async throws {
        try await FailedRowChange(change: .discard, outbox: outbox, rows: rows).run(audit, output)
    }
}

/// Retries or discards failed rows.
struct FailedRowChange: OperatorChange {
    let change: OutboxFailures.Change
    let outbox: OutboxTableOptions
    let rows: FailedRowSelection

    func outcome(by audit: Audit?) async throws -> FailedRowReport {
        let selection = rows.selection
        let changed = try await outbox.withFailures { failures, connection in
            if let audit { return try await failures.change(change, selection, by: audit, on: connection) }
            return try await failures.matching(change, selection, on: connection)
        }
        return FailedRowReport(
            change: change, rows: changed, missing: rows.rows.filter { !changed.contains($0) }, isDone: audit != nil)
    }
}

/// The report about changed rows.
struct FailedRowReport: OperatorReport {
    let change: OutboxFailures.Change
    let rows: [Int64]
    /// Requested rows that do not exist, or cannot be changed in this way.
    let missing: [Int64]
    let isDone: Bool

    var isEmpty: Bool { rows.isEmpty }

    var lines: [String] {
        let past = change == .retry ? "put back into the outbox:" : "discarded"
        let count = "\(TextFormat.count(Int64(rows.count))) row\(rows.count == 1 ? "" : "s")"
        var lines = ["\(isDone ? past : "would \(change.rawValue)") \(count)"]
        if !missing.isEmpty {
            lines.append("  no such row, or discarded already: \(missing.map(String.init).joined(separator: ", "))")
        }
        if rows.isEmpty && missing.isEmpty { lines.append("  nothing matched") }
        return lines
    }

    private struct Object: Encodable {
        let action: String
        let executed: Bool
        let rows: [Int64]
        let missing: [Int64]
    }

    var json: String {
        JSONText.line(Object(action: change.rawValue, executed: isDone, rows: rows, missing: missing))
    }
}
