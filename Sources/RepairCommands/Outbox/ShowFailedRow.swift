internal import ArgumentParser
internal import CommandSupport
internal import Outbox
internal import StreamCore

/// `millrace outbox failed show`.
struct ShowFailedRow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows a row that cannot be published: its error, content and history.",
        discussion: """
            Prints the event's payload. Bytes that control the terminal appear as \\xNN.

            \(FailedRowsCommand.exitCodes)
            """)

    @OptionGroup var outbox: OutboxTableOptions

    @Argument(help: "The row's number.")
    var row: Int64

    @Option(name: .shortAndLong, help: "table, json, or jsonl: the same on one line.")
    var output = OutputFormat.table

    func run() async throws {
        guard let detail = try await outbox.withFailures({ try await $0.show(row, on: $1) }) else {
            throw CommandFailure("row \(row) is not in the table of failed rows", .nothingMatched)
        }
        switch output {
        case .table: print(FailedRowText(detail, now: .now).text)
        case .json: print(JSONText.page(FailedRowJSON.Detail(detail)))
        case .jsonl: print(JSONText.line(FailedRowJSON.Detail(detail)))
        }
    }
}

/// The text of a failed row for operators.
struct FailedRowText {
    private let detail: OutboxFailures.Detail
    private let now: Timestamp

    init(_ detail: OutboxFailures.Detail, now: Timestamp) {
        self.detail = detail
        self.now = now
    }

    var text: String {
        let parts = [
            summary, json("payload", detail.payload), json("headers", detail.headers),
            json("metadata", detail.metadata), json("the whole row", detail.original), history,
        ]
        return parts.filter { !$0.isEmpty }.joined(separator: "\n\n")
    }

    private var summary: String {
        let row = detail.row
        var lines = [
            ("row", "\(row.id)"),
            (
                "state",
                row.isDiscarded ? "discarded; later rows of its key continue" : "failed; later rows of its key wait"
            ),
            ("error", TextFormat.text("\(row.errorClass): \(row.error)")),
            ("since", "\(TextFormat.time(row.failedAt)) (\(TextFormat.age(of: row.failedAt, now: now)) ago)"),
        ]
        if let discard = row.discarded {
            let who = discard.actor.map { " by \($0)" } ?? ""
            let when = discard.at.map { " at \(TextFormat.time($0))" } ?? ""
            lines.append(("discarded", TextFormat.text("\(discard.reason ?? "")\(who)\(when)")))
        }
        let facts: [(String, String?)] = [
            ("event", row.eventType), ("event id", row.eventID.map { "\($0)" } ?? row.sourceID),
            ("aggregate", [row.aggregateType, row.aggregateID].compactMap(\.self).joined(separator: " ")),
            ("sequence", detail.sequence.map { "\($0)" }), ("occurred at", detail.occurredAt),
            ("topic", row.topic), ("key", row.key),
        ]
        for (name, value) in facts {
            if let value, !value.isEmpty { lines.append((name, TextFormat.text(value))) }
        }
        return lines.map { name, text in
            name + String(repeating: " ", count: max(1, 12 - name.count)) + text
        }.joined(separator: "\n")
    }

    private func json(_ title: String, _ text: String?) -> String {
        guard let text else { return "" }
        return titled(title, LetterFormat.value(Array(text.utf8)).split(separator: "\n").map(String.init))
    }

    private var history: String {
        titled(
            "history",
            detail.history.map { entry in
                TextFormat.text(
                    "\(TextFormat.time(entry.at))  \(entry.actor)  \(entry.action): \(entry.reason)")
            })
    }

    private func titled(_ title: String, _ lines: [String]) -> String {
        lines.isEmpty ? "" : ([title] + lines.map { "  " + $0 }).joined(separator: "\n")
    }
}
