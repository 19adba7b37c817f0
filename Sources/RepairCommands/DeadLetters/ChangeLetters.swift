internal import ArgumentParser
internal import CommandSupport
internal import DeadLetters
internal import Foundation
internal import StreamCore

/// `millrace dead-letters retry`.
struct RetryLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Sends pending letters to their consumer again.",
        discussion: """
            The handler sends the pending letters of a key in their order. While the first letter fails, it sends that \
            letter alone; after it is applied, it sends the others. A retry of a letter includes the letters of its \
            key before it. For a group with thousands of letters, retry one letter first and then all with --rate.

            \(DeadLettersHelp.exitCodes)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var letters: LetterSelectionOptions
    @OptionGroup var audit: AuditOptions

    @Option(help: "Maximum number of letters that become due in a second (50/s) or a minute (30/m); default: no limit.")
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
        abstract: "Gives up pending letters. The letters behind them continue.",
        discussion: """
            The event will not take effect. You can restore the letter until its retention ends. If the discard \
            cannot be sent to the consumer, the letter becomes pending again.

            --without-telling is for a consumer that no longer exists. It closes letters at once and sends nothing. It \
            also closes letters that are being retried, and letters whose discard was not confirmed. The consumer's \
            tables still contain the parked events. If the consumer is started again, their keys may be blocked.

            \(DeadLettersHelp.exitCodes)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var letters: LetterSelectionOptions
    @OptionGroup var audit: AuditOptions

    @Flag(help: "Close the letters at once and send nothing to the consumer, because it no longer exists.")
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
            If later letters of the same key were applied meanwhile, the event of a restored letter is applied out of \
            order.

            \(DeadLettersHelp.exitCodes)
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

/// Retries, discards or restores letters.
struct LettersChange: OperatorChange {
    let change: DeadLetterStore.Change
    let database: DatabaseOptions
    let letters: LetterSelectionOptions
    /// Maximum number of letters that become due in a second; nil for no limit.
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

/// The report about changed letters.
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
            lines.append("  without telling their consumer: if it is started again, their keys may be blocked")
        }
        for (skip, count) in outcome.skipped.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            lines.append("  left unchanged: \(TextFormat.count(count)) \(skip.explanation)")
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
        return JSONText.line(
            Object(
                action: change.rawValue, executed: isDone, changed: outcome.changed, skipped: skipped,
                missing: outcome.missing))
    }
}
