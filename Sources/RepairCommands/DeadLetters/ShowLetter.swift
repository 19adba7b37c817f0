internal import ArgumentParser
internal import CommandSupport
internal import DeadLetters
internal import StreamCore

/// `millrace dead-letters show`.
struct ShowLetter: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows a letter: its error, record and history, and the letters of its key before and behind it.",
        discussion: """
            Prints the record's value. Bytes that are not UTF-8 text or control the terminal appear as \\xNN. A value \
            that is not text appears in hexadecimal. `export` prints all bytes.

            \(DeadLettersHelp.exitCodes)
            """)

    @OptionGroup var database: DatabaseOptions

    @Argument(help: "The letter's number.")
    var letter: Int64

    @Option(name: .shortAndLong, help: "table, json, or jsonl: the same on one line.")
    var output = OutputFormat.table

    func run() async throws {
        guard let detail = try await database.withDeadLetters({ try await $0.show(letter) }) else {
            throw CommandFailure("there is no letter \(letter)", .nothingMatched)
        }
        switch output {
        case .table: print(LetterText(detail, now: .now).text)
        case .json: print(JSONText.page(LetterJSON.Detail(detail)))
        case .jsonl: print(JSONText.line(LetterJSON.Detail(detail)))
        }
    }
}

/// The text of a letter for operators.
struct LetterText {
    private let detail: DeadLetterStore.Detail
    private let now: Timestamp

    init(_ detail: DeadLetterStore.Detail, now: Timestamp) {
        self.detail = detail
        self.now = now
    }

    var text: String {
        [summary, headers, value, edits, sequence, history].filter { !$0.isEmpty }.joined(separator: "\n\n")
    }

    private func titled(_ title: String, _ lines: [String]) -> String {
        lines.isEmpty ? "" : ([title] + lines.map { "  " + $0 }).joined(separator: "\n")
    }

    private func ago(_ time: Timestamp) -> String {
        "\(TextFormat.time(time)) (\(TextFormat.age(of: time, now: now)) ago)"
    }

    private var summary: String {
        let letter = detail.letter
        let summary = letter.summary
        var lines: [(String, String)] = [
            ("letter", "\(summary.letterID)"),
            ("state", "\(summary.state.rawValue) since \(ago(letter.stateSince))"),
            ("consumer", TextFormat.text(summary.consumer)),
            ("parked by", letter.consumerGroup.isEmpty ? "unknown" : TextFormat.text(letter.consumerGroup)),
            ("group", TextFormat.text("\(summary.consumer)/\(summary.errorClass)/\(summary.fingerprint)")),
            ("error", TextFormat.text(summary.message)),
        ]
        if letter.firstMessage != summary.message {
            lines.append(("first error", TextFormat.text("\(letter.firstErrorClass): \(letter.firstMessage)")))
        }
        lines.append(("reason", summary.reason + (letter.stage.map { " in \($0)" } ?? "")))
        lines.append(("origin", TextFormat.text("\(summary.origin)")))
        if let time = letter.originAt { lines.append(("written", ago(time))) }
        lines.append(("came", ago(summary.createdAt)))
        lines.append(("retries", "\(summary.attempts) failed; delivery \(letter.delivery)"))
        if letter.isDiscardOpen {
            lines.append(("discard", "the consumer has not confirmed it yet; the handler sends it again until it does"))
        } else if letter.isNextInSequence {
            lines.append(("next retry", "when the letters before it are resolved or discarded"))
        } else if let time = summary.nextAttemptAt {
            lines.append(("next retry", time > now ? TextFormat.time(time) : "due since \(TextFormat.time(time))"))
        } else if summary.state == .pending {
            lines.append(("next retry", "when an operator requests it"))
        }
        lines.append(("retried to", letter.replayTopic.map(TextFormat.text) ?? "unknown"))
        if summary.dialect != "millrace" { lines.append(("written by", TextFormat.text(summary.dialect))) }
        lines.append(("key", TextFormat.printable(letter.key)))
        if let type = summary.eventType { lines.append(("event", TextFormat.text(type))) }
        if let id = letter.eventID { lines.append(("event id", "\(id)")) }
        return lines.map { name, text in
            name + String(repeating: " ", count: max(1, 12 - name.count)) + text
        }.joined(separator: "\n")
    }

    private var headers: String {
        titled(
            "headers",
            detail.letter.headers.map {
                "\(TextFormat.text($0.name)): \(TextTable.cut(TextFormat.printable($0.value), to: 1_000))"
            })
    }

    private var value: String {
        if let value = detail.letter.value { return titled("value", Self.lines(LetterFormat.value(value))) }
        return detail.letter.isValueWithConsumer
            ? "value: kept by the consumer, because the broker refused its size (parked_events.kept_value)"
            : "value: (null), a tombstone"
    }

    private static func lines(_ text: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    private var edits: String {
        guard let edit = detail.edits.last else { return "" }
        let title = """
            edit \(edit.number), by \(TextFormat.text(edit.actor)) at \(TextFormat.time(edit.at)): \
            \(TextFormat.text(edit.reason)). A retry sends this:
            """
        return titled(title, Self.lines(LetterFormat.value(edit.value)))
    }

    private var sequence: String {
        guard detail.openBefore + detail.openBehind > 0 else { return "" }
        func count(_ number: Int64) -> String {
            number >= DeadLetterStore.countLimit ? "\(TextFormat.count(number)) or more" : TextFormat.count(number)
        }
        let title = """
            open letters of the same key: \(count(detail.openBefore)) before, \(count(detail.openBehind)) behind. \
            They are sent in this order:
            """
        var lines = detail.sequence.map { line($0, mark: " ") }
        let own = DeadLetterStore.Neighbour(detail.letter)
        let place = detail.sequence.count { $0.letterID < own.letterID }
        lines.insert(line(own, mark: ">"), at: place)
        if detail.openBehind > DeadLetterStore.neighbourLimit { lines.append("  …") }
        if detail.openBefore > DeadLetterStore.neighbourLimit { lines.insert("  …", at: 0) }
        return titled(title, lines)
    }

    private func line(_ letter: DeadLetterStore.Neighbour, mark: String) -> String {
        let text = """
            \(letter.letterID)  \(letter.state.rawValue)  \(letter.reason)  \(letter.errorClass)  \
            \(letter.eventType ?? "-")  \(letter.origin)
            """
        return "\(mark) \(TextFormat.text(text))"
    }

    private var history: String {
        let title =
            detail.history.count == DeadLetterStore.historyLimit
            ? "history (the last \(DeadLetterStore.historyLimit) changes)" : "history"
        return titled(
            title,
            detail.history.map { entry in
                let change = entry.from == entry.to ? "" : " (\(entry.from ?? "new") → \(entry.to ?? "-"))"
                let reason = entry.reason.map { $0.isEmpty ? "" : ": " + TextFormat.text($0) } ?? ""
                let who = TextFormat.text(entry.actor)
                return "\(TextFormat.time(entry.at))  \(who)  \(entry.action)\(change)\(reason)"
            })
    }
}

extension DeadLetterStore.Neighbour {
    /// The letter as a member of its own sequence.
    init(_ letter: DeadLetterStore.Letter) {
        self.init(
            letterID: letter.summary.letterID, state: letter.summary.state, reason: letter.summary.reason,
            errorClass: letter.summary.errorClass, origin: letter.summary.origin, eventType: letter.summary.eventType)
    }
}
