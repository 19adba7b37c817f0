internal import ArgumentParser
internal import DeadLetters
internal import Outbox

/// `millrace outbox failed retry`.
struct RetryFailedRows: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Puts rows back into the outbox, at their old place.",
        discussion: """
            The relay publishes them before the later rows of their keys. A row that still cannot be published is set \
            aside again: correct it first, in the table of failed rows. A discarded row may be retried by its number; \
            later rows of its key have gone on meanwhile.

            \(FailedRowsCommand.exitCodes)
            """)

    @OptionGroup var outbox: OutboxTableOptions
    @OptionGroup var rows: FailedRowSelection
    @OptionGroup var audit: LetterAuditOptions

    @Option(name: .shortAndLong, help: "table, json or jsonl.")
    var output = LetterOutput.table

    func run() async throws {
        try await FailedRowChanges(change: .retry, outbox: outbox, rows: rows, audit: audit, output: output).run()
    }
}

/// `millrace outbox failed discard`.
struct DiscardFailedRows: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discard",
        abstract: "Gives rows up: they are never published, and later rows of their keys go on.",
        discussion: """
            The rows stay in the table of failed rows, and can be retried by their numbers.

            \(FailedRowsCommand.exitCodes)
            """)

    @OptionGroup var outbox: OutboxTableOptions
    @OptionGroup var rows: FailedRowSelection
    @OptionGroup var audit: LetterAuditOptions

    @Option(name: .shortAndLong, help: "table, json or jsonl.")
    var output = LetterOutput.table

    func run() async throws {
        try await FailedRowChanges(change: .discard, outbox: outbox, rows: rows, audit: audit, output: output).run()
    }
}

/// What both have in common: say what would be done, or do it and say what was.
struct FailedRowChanges {
    let change: OutboxFailures.Change
    let outbox: OutboxTableOptions
    let rows: FailedRowSelection
    let audit: LetterAuditOptions
    let output: LetterOutput

    func run() async throws {
        let selection = rows.selection
        let by = OutboxFailures.Audit(actor: audit.audit.actor, reason: audit.audit.reason)
        let changed = try await outbox.withFailures { failures, connection in
            audit.execute
                ? try await failures.change(change, selection, by: by, on: connection)
                : try await failures.matching(change, selection, on: connection)
        }
        let report = FailedRowReport(
            change: change, rows: changed, missing: rows.rows.filter { !changed.contains($0) }, isDone: audit.execute)
        print(output == .table ? report.text : report.json)
        if changed.isEmpty { throw ExitCode.nothingMatched }
    }
}

/// What was changed, or would be.
struct FailedRowReport {
    let change: OutboxFailures.Change
    let rows: [Int64]
    /// Asked for by number, and not there, or not to be changed so.
    let missing: [Int64]
    let isDone: Bool

    var text: String {
        let past = change == .retry ? "put back into the outbox:" : "discarded"
        let count = "\(LetterFormat.count(Int64(rows.count))) row\(rows.count == 1 ? "" : "s")"
        var lines = ["\(isDone ? past : "would \(change.rawValue)") \(count)"]
        if !missing.isEmpty {
            lines.append("  no such row, or discarded already: \(missing.map(String.init).joined(separator: ", "))")
        }
        if rows.isEmpty && missing.isEmpty { lines.append("  nothing matched") }
        if !isDone && !rows.isEmpty {
            lines.append("dry run: nothing was changed. Add --execute --reason \"why\" to do it.")
        }
        return lines.joined(separator: "\n")
    }

    private struct Object: Encodable {
        let action: String
        let executed: Bool
        let rows: [Int64]
        let missing: [Int64]
    }

    var json: String {
        LetterJSON.line(Object(action: change.rawValue, executed: isDone, rows: rows, missing: missing))
    }
}
