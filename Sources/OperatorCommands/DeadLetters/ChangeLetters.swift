internal import ArgumentParser
internal import DeadLetters
internal import Foundation
internal import StreamCore

/// `millrace dead-letters retry`.
struct RetryLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Sends pending letters to their consumer again.",
        discussion: """
            The handler sends the pending letters of a key in their order: the first one alone, as long as it fails, \
            and those behind it when it is applied. A letter behind others asks for those before it. Retrying a group \
            that has thousands of letters? Try one first, then all of them with --rate.

            \(DeadLettersCommand.exitCodes)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var letters: LetterSelectionOptions
    @OptionGroup var audit: AuditOptions

    @Option(help: "So many letters become due in a second (50/s) or a minute (30/m); default: all at once.")
    var rate: RateArgument?

    @Option(name: .shortAndLong, help: "table, json or jsonl.")
    var output = OutputFormat.table

    func run() async throws {
        try await LettersChange(change: .retry, database: database, letters: letters, perSecond: rate?.perSecond)
            .run(audit, output)
    }
}

/// `millrace dead-letters discard`.
struct DiscardLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discard",
        abstract: "Gives pending letters up; what waits behind them goes on.",
        discussion: """
            The event will not take effect. The letter stays until its retention ends and can be restored. A discard \
            that cannot be sent to the consumer makes the letter pending again.

            --without-telling is for a consumer that is gone for good: it closes letters at once, also those that are \
            being retried or whose discard was never confirmed, and sends nothing. The consumer keeps the events \
            parked. Should it come back, it may hold their keys blocked.

            \(DeadLettersCommand.exitCodes)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var letters: LetterSelectionOptions
    @OptionGroup var audit: AuditOptions

    @Flag(help: "Close them at once and tell the consumer nothing: it is gone for good.")
    var withoutTelling = false

    @Option(name: .shortAndLong, help: "table, json or jsonl.")
    var output = OutputFormat.table

    func run() async throws {
        let change: DeadLetterStore.Change = withoutTelling ? .discardWithoutTelling : .discard
        try await LettersChange(change: change, database: database, letters: letters).run(audit, output)
    }
}

/// `millrace dead-letters restore`.
struct RestoreLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Makes discarded letters pending again; nothing is sent until `retry`.",
        discussion: """
            Letters of the same key that came later may have been applied since: the order is then no longer that of \
            the events.

            \(DeadLettersCommand.exitCodes)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var letters: LetterSelectionOptions
    @OptionGroup var audit: AuditOptions

    @Option(name: .shortAndLong, help: "table, json or jsonl.")
    var output = OutputFormat.table

    func run() async throws {
        try await LettersChange(change: .restore, database: database, letters: letters).run(audit, output)
    }
}

/// Letters that are retried, discarded or restored.
struct LettersChange: OperatorChange {
    let change: DeadLetterStore.Change
    let database: DatabaseOptions
    let letters: LetterSelectionOptions
    /// Letters that become due in a second; nil for all at once.
    var perSecond: Double?

    func outcome(by audit: Audit?) async throws -> LetterChangeReport {
        let outcome = try await database.withDeadLetters { store in
            let selection = try await letters.selection(in: store)
            guard let audit else { return try await store.preview(change, selection) }
            defer { if StandardError.isTerminal { StandardError.write("\r\u{1B}[K") } }
            return try await store.change(change, selection, perSecond: perSecond, by: audit) { done in
                if StandardError.isTerminal { StandardError.write("\r\(LetterFormat.letters(done))") }
            }
        }
        return LetterChangeReport(change, outcome, isDone: audit != nil, perSecond: perSecond)
    }
}

/// What was changed, or would be.
struct LetterChangeReport: OperatorReport {
    private let change: DeadLetterStore.Change
    private let outcome: DeadLetterStore.Outcome
    let isDone: Bool
    private let perSecond: Double?

    init(_ change: DeadLetterStore.Change, _ outcome: DeadLetterStore.Outcome, isDone: Bool, perSecond: Double? = nil) {
        self.change = change
        self.outcome = outcome
        self.isDone = isDone
        self.perSecond = perSecond
    }

    var isEmpty: Bool { outcome.changed == 0 }

    var lines: [String] {
        let verb = isDone ? Self.past(change) : "would \(Self.infinitive(change))"
        var lines = ["\(verb) \(LetterFormat.letters(outcome.changed))\(pace)"]
        if change == .discardWithoutTelling && outcome.changed > 0 {
            lines.append("  without telling their consumer: should it come back, it may hold their keys blocked")
        }
        for (skip, count) in outcome.skipped.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            lines.append("  left as they are: \(LetterFormat.count(count)) \(skip.explanation)")
        }
        if !outcome.missing.isEmpty {
            lines.append("  no such letter: \(outcome.missing.map(String.init).joined(separator: ", "))")
        }
        if outcome.isEmpty && outcome.missing.isEmpty { lines.append("  nothing matched") }
        return lines
    }

    private var pace: String {
        guard let perSecond, outcome.changed > 1 else { return "" }
        let seconds = Double(outcome.changed - 1) / perSecond
        return ", the last one due in \(Int64(seconds.rounded(.up))) s"
    }

    private static func infinitive(_ change: DeadLetterStore.Change) -> String {
        switch change {
        case .retry: "retry"
        case .discard, .discardWithoutTelling: "discard"
        case .restore: "restore"
        }
    }

    private static func past(_ change: DeadLetterStore.Change) -> String {
        switch change {
        case .retry: "requested the retry of"
        case .discard, .discardWithoutTelling: "discarded"
        case .restore: "restored"
        }
    }

    private struct Object: Encodable {
        let action: String
        let executed: Bool
        let changed: Int64
        let skipped: [String: Int64]
        let missing: [Int64]
    }

    var json: String {
        let skipped = Dictionary(uniqueKeysWithValues: outcome.skipped.map { ($0.key.rawValue, $0.value) })
        return LetterJSON.line(
            Object(
                action: change.rawValue, executed: isDone, changed: outcome.changed, skipped: skipped,
                missing: outcome.missing))
    }
}
