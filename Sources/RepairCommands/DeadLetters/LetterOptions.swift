internal import ArgumentParser
internal import CommandSupport
internal import DeadLetters
internal import Foundation

/// Selects letters by properties.
struct LetterFilterOptions: ParsableArguments {
    @Option(help: "Letters of this consumer, such as order-summary.")
    var consumer: String?

    @Option(
        help: "Letters in this state: pending, retrying, resolved or discarded; may be repeated.",
        transform: Self.state(named:))
    var state: [DeadLetterStore.State] = []

    private static func state(named name: String) throws -> DeadLetterStore.State {
        guard let state = DeadLetterStore.State(rawValue: name) else {
            throw ValidationError("--state is pending, retrying, resolved or discarded, not \"\(name)\".")
        }
        return state
    }

    @Option(name: .customLong("class"), help: "Letters of this error class, such as missing_field.")
    var errorClass: String?

    @Option(help: "Letters whose fingerprint starts with these hexadecimal digits.")
    var fingerprint: String?

    @Option(help: "Letters with this key, as text.")
    var key: String?

    @Option(help: "Letters with this key, in base64, for keys that are not text.")
    var keyBase64: String?

    @Option(help: "Letters that are older than this: 90s, 30m, 48h.")
    var olderThan: DurationArgument?

    @Option(help: "Letters that are younger than this.")
    var newerThan: DurationArgument?

    func validate() throws {
        if key != nil && keyBase64 != nil { throw ValidationError("Give --key or --key-base64, not both.") }
        if let keyBase64, Data(base64Encoded: keyBase64) == nil {
            throw ValidationError("--key-base64 takes base64.")
        }
    }

    var filter: DeadLetterStore.Filter {
        var filter = DeadLetterStore.Filter()
        filter.consumer = consumer
        filter.states = Set(state)
        filter.errorClass = errorClass
        filter.fingerprint = fingerprint?.lowercased()
        filter.key = key.map { Array($0.utf8) } ?? keyBase64.flatMap { Data(base64Encoded: $0) }.map { Array($0) }
        filter.olderThan = olderThan?.duration
        filter.newerThan = newerThan?.duration
        return filter
    }
}

/// Selects the letters of a command: by numbers, a group, a filter, or all.
struct LetterSelectionOptions: ParsableArguments {
    @Argument(help: "Numbers of letters.")
    var letters: [Int64] = []

    @Option(
        help: ArgumentHelp(
            "A group, as `groups` shows it; the first digits of the fingerprint are enough.",
            valueName: "consumer/class/fingerprint"))
    var group: String?

    @Flag(help: "All letters. Required if nothing else selects letters.")
    var all = false

    @OptionGroup var options: LetterFilterOptions

    func validate() throws {
        try SelectionRule(
            noun: "letters",
            ways: [
                ("numbers", !letters.isEmpty), ("--group", group != nil),
                ("a filter such as --consumer", !options.filter.isEmpty),
            ], all: all
        ).validate()
        if let group, DeadLetterStore.GroupName(group) == nil {
            throw ValidationError("--group takes CONSUMER/CLASS/FINGERPRINT, not \"\(group)\".")
        }
    }

    /// - Throws: ``DeadLetterStore/NameError`` if the group's name matches no group or several groups.
    func selection(in store: DeadLetterStore) async throws -> DeadLetterStore.Selection {
        if !letters.isEmpty { return .letters(letters) }
        guard let name = group.flatMap({ DeadLetterStore.GroupName($0) }) else { return .matching(options.filter) }
        return .group(try await store.group(named: name).name)
    }
}

/// A rate: `50/s`, `30/m`, or a number for each second.
struct RateArgument: ExpressibleByArgument {
    let perSecond: Double

    init?(argument: String) {
        let units: [(suffix: String, seconds: Double)] = [("/s", 1), ("/m", 60), ("/h", 3_600)]
        let unit = units.first { argument.hasSuffix($0.suffix) }
        guard let number = Double(argument.dropLast(unit?.suffix.count ?? 0)), number.isFinite, number > 0,
            number <= 1e6
        else { return nil }
        perSecond = number / (unit?.seconds ?? 1)
    }
}
