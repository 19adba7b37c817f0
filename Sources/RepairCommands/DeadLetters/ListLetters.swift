internal import ArgumentParser
internal import CommandSupport
internal import DeadLetters
internal import StreamCore

/// `millrace dead-letters list`.
struct ListLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Shows letters, the newest first. Without --state it shows open letters.",
        discussion: DeadLettersHelp.exitCodes)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var filter: LetterFilterOptions

    @Flag(help: "Letters in all states.")
    var all = false

    @Option(help: "Maximum number of letters on a page, at most 1000.")
    var limit = 50

    @Option(help: "The next page: letters before this number.")
    var before: Int64?

    @Option(name: .shortAndLong, help: "table, json, or jsonl: one object a line.")
    var output = OutputFormat.table

    func validate() throws {
        guard (1...1_000).contains(limit) else { throw ValidationError("--limit must be 1 to 1000.") }
    }

    func run() async throws {
        var filter = filter.filter
        if filter.states.isEmpty && !all { filter.states = DeadLetterStore.State.open }
        let chosen = filter
        let page = try await database.withDeadLetters { try await $0.list(chosen, limit: limit, before: before) }
        switch output {
        case .json:
            print(JSONText.page(LetterJSON.Page(letters: page.letters.map { .init($0) }, next: page.next)))
        case .jsonl:
            for letter in page.letters { print(JSONText.line(LetterJSON.Summary(letter))) }
        case .table:
            if page.letters.isEmpty {
                print("no letters")
            } else {
                print(Self.table(page.letters, now: .now))
            }
        }
        if let next = page.next, output != .json {
            StandardError.write("there are more: --before \(next)\n")
        }
        if page.letters.isEmpty { throw ExitCode.nothingMatched }
    }

    static func table(_ letters: [DeadLetterStore.Summary], now: Timestamp) -> String {
        var table = TextTable([
            "LETTER", "AGE", "STATE", "CONSUMER", "CLASS", "FINGERPRINT", "KEY", "EVENT", "TRIES", "MESSAGE",
        ])
        for letter in letters {
            table.add([
                String(letter.letterID), TextFormat.age(of: letter.createdAt, now: now), state(of: letter),
                TextFormat.text(letter.consumer), TextFormat.text(letter.errorClass), letter.fingerprint,
                TextTable.cut(TextFormat.printable(letter.key), to: 36),
                letter.eventType.map(TextFormat.text) ?? "-", String(letter.attempts),
                TextTable.shorten(TextFormat.text(letter.message), to: 80),
            ])
        }
        return table.text
    }

    /// The state. It distinguishes letters that wait for another one from letters that failed themselves.
    private static func state(of letter: DeadLetterStore.Summary) -> String {
        letter.state == .pending && letter.reason == "blocked" ? "pending (blocked)" : letter.state.rawValue
    }
}

/// `millrace dead-letters groups`.
struct ListGroups: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "groups",
        abstract: "Groups the failures by consumer, error class and fingerprint.",
        discussion: """
            Errors that differ only in ids and numbers have the same fingerprint. Groups with the most open letters \
            come first. EXAMPLE is the number of one letter, for `show`.

            \(DeadLettersHelp.exitCodes)
            """)

    @OptionGroup var database: DatabaseOptions

    @Option(help: "Groups of this consumer.")
    var consumer: String?

    @Option(name: .customLong("class"), help: "Groups of this error class.")
    var errorClass: String?

    @Option(help: "Groups whose fingerprint starts with these hexadecimal digits.")
    var fingerprint: String?

    @Flag(help: "Also groups without an open letter.")
    var all = false

    @Option(help: "Maximum number of groups, at most 10000.")
    var limit = 100

    @Option(name: .shortAndLong, help: "table, json, or jsonl: one object a line.")
    var output = OutputFormat.table

    func validate() throws {
        guard (1...10_000).contains(limit) else { throw ValidationError("--limit must be 1 to 10000.") }
    }

    func run() async throws {
        var filter = DeadLetterStore.Filter()
        filter.consumer = consumer
        filter.errorClass = errorClass
        filter.fingerprint = fingerprint?.lowercased()
        let chosen = filter
        let groups = try await database.withDeadLetters {
            try await $0.groups(chosen, includingClosed: all, limit: limit)
        }
        switch output {
        case .json: print(JSONText.page(groups.map { LetterJSON.Group($0) }))
        case .jsonl: for group in groups { print(JSONText.line(LetterJSON.Group(group))) }
        case .table: print(groups.isEmpty ? "no groups" : Self.table(groups, now: .now))
        }
        if groups.isEmpty { throw ExitCode.nothingMatched }
    }

    static func table(_ groups: [DeadLetterStore.Group], now: Timestamp) -> String {
        var table = TextTable([
            "PENDING", "RETRYING", "RESOLVED", "DISCARDED", "FIRST SEEN", "LAST SEEN", "GROUP", "EXAMPLE", "MESSAGE",
        ])
        for group in groups {
            table.add([
                TextFormat.count(group.pending), TextFormat.count(group.retrying),
                TextFormat.count(group.resolved), TextFormat.count(group.discarded),
                TextFormat.age(of: group.firstSeen, now: now) + " ago",
                TextFormat.age(of: group.lastSeen, now: now) + " ago",
                TextFormat.text("\(group.name)"), String(group.exampleLetter),
                TextTable.shorten(TextFormat.text(group.exampleMessage), to: 80),
            ])
        }
        return table.text
    }
}
