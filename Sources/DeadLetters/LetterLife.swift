internal import Letters
internal import StreamCore

/// The states of a letter.
enum LetterState: String, Sendable, Hashable {
    /// Waits for its time, for an operator, or behind another letter.
    case pending
    /// Sent; the consumer has not answered yet.
    case retrying
    /// Applied.
    case resolved
    /// An operator gave it up.
    case discarded
}

/// The protocol of one letter: its state after each notice, as a pure value.
///
/// The delivery number makes it safe that notices come twice, late or in another order. The number grows each time that
/// a letter is sent. An answer contains the number of its delivery. An answer to an earlier delivery than the last one
/// changes nothing.
struct LetterLife: Sendable, Hashable {
    /// The time at which the letter becomes due.
    enum Due: Sendable, Hashable {
        /// Unchanged.
        case unchanged
        /// Not before an operator requests it, or the letter is the first of its key.
        case never
        /// After this number of milliseconds.
        case after(Int64)
    }

    enum Freeing: Int16, Sendable, Hashable {
        /// It is new and blocked. If no letter is before it, it need not wait.
        case alone = 0
        /// It was applied.
        case resolved = 1
        /// It was discarded.
        case discarded = 2
        /// The consumer reports an earlier letter of its key. If there is none here, the letter is tried again later.
        case blockedAgain = 3
    }

    struct Entry: Sendable, Hashable {
        let action: String
        let from: LetterState?
        let to: LetterState
        var reason: String?
    }

    private(set) var state: LetterState
    private(set) var reason: LetterReason
    private(set) var attempts: Int32
    private(set) var delivery: Int32
    private(set) var errorClass: String
    private(set) var fingerprint: String
    private(set) var firstErrorClass: String
    /// The error of the failure; nil while it is the one in the row.
    private(set) var failure: Letter?
    /// Whether ``failure`` is the letter's first failure of its own.
    private(set) var isFirstFailure = false
    private(set) var due = Due.unchanged
    private(set) var history: [Entry] = []
    /// The reason why other letters of its key may be next; nil if they may not.
    private(set) var frees: Freeing?
    /// Whether the letter is discarded and the consumer has not confirmed it.
    private(set) var isDiscardOpen: Bool
    /// Whether the consumer may have deleted the event's row when it received the discard.
    private(set) var isRowForgotten: Bool
    private var isRowFound = false

    /// A letter that has a row.
    init(
        state: LetterState, reason: LetterReason, attempts: Int32, delivery: Int32, errorClass: String,
        fingerprint: String, firstErrorClass: String, isDiscardOpen: Bool = false, isRowForgotten: Bool = false
    ) {
        self.isDiscardOpen = isDiscardOpen
        self.isRowForgotten = isRowForgotten
        self.state = state
        self.reason = reason
        self.attempts = attempts
        self.delivery = delivery
        self.errorClass = errorClass
        self.fingerprint = fingerprint
        self.firstErrorClass = firstErrorClass
    }

    /// A new letter.
    init(_ letter: Letter, policies: RetryPolicies, using random: inout some RandomNumberGenerator) {
        self.init(
            state: .pending, reason: letter.reason, attempts: 0, delivery: letter.delivery,
            errorClass: letter.errorClass, fingerprint: letter.fingerprint.description,
            firstErrorClass: letter.errorClass)
        due = Self.due(letter, policies, failedAttempts: 0, using: &random)
        if letter.reason == .blocked && letter.isOrdered { frees = .alone }
        history.append(Entry(action: "parked", from: nil, to: .pending, reason: Self.text(letter)))
    }

    var isChanged: Bool { !history.isEmpty || due != .unchanged || isRowFound }

    /// Applies a notice about this letter.
    mutating func receive(
        _ notice: LetterNotice, policies: RetryPolicies, using random: inout some RandomNumberGenerator
    ) {
        switch notice {
        case .letter(let letter): receive(letter, policies, using: &random)
        case .resolved(_, let count): resolve(count)
        case .discarded(_, let count, let isRowKept): confirmDiscard(count, isRowKept)
        case .breaker: break
        }
    }

    private mutating func receive(
        _ letter: Letter, _ policies: RetryPolicies, using random: inout some RandomNumberGenerator
    ) {
        // A letter counts if it answers the last delivery. It also counts if it answers a later one: then the table is
        // older than the topic, for example after a restore. `failed` also counts after `resolved` or `discarded` with
        // the same number, because the consumer's first transaction was rolled back.
        let counts = state == .pending ? letter.delivery > delivery : letter.delivery >= delivery
        guard counts else { return }
        delivery = letter.delivery
        (isDiscardOpen, isRowForgotten) = (false, false)
        let isReopened = state == .resolved || state == .discarded
        switch letter.reason {
        case .failed:
            attempts += 1
            reason = .failed
            errorClass = letter.errorClass
            fingerprint = letter.fingerprint.description
            if firstErrorClass == LetterText.blockedClass {
                firstErrorClass = letter.errorClass
                isFirstFailure = true
            }
            failure = letter
            due = Self.due(letter, policies, failedAttempts: Int(attempts), using: &random)
            move(to: .pending, isReopened ? "reopened" : "failed_again", Self.text(letter))
        case .blocked:
            due = .never
            frees = .blockedAgain
            move(to: .pending, isReopened ? "reopened" : "blocked_again", nil)
        }
    }

    private mutating func resolve(_ count: Int32?) {
        delivery = max(delivery, count ?? delivery)
        guard state != .resolved else { return }
        due = .never
        frees = .resolved
        isDiscardOpen = false
        move(to: .resolved, "resolved", nil)
    }

    private mutating func confirmDiscard(_ count: Int32?, _ isRowKept: Bool) {
        if isRowKept && isRowForgotten { (isRowForgotten, isRowFound) = (false, true) }
        switch state {
        case .discarded:
            delivery = max(delivery, count ?? delivery)
            guard isDiscardOpen else { return }
            isDiscardOpen = false
            due = .never
            frees = .discarded
            move(to: .discarded, "discard_confirmed", nil)
        case .resolved:
            // The event was applied before the discard, so the letter is resolved.
            move(to: .resolved, "discard_confirmed", "the event was applied before")
        case .pending, .retrying:
            // A discard has its own delivery number. If the letter has this number or a higher one, an operator
            // restored it after the discard, and the restore stays in effect.
            guard count ?? .max > delivery else {
                move(to: state, "discard_confirmed", "the letter was restored meanwhile")
                return
            }
            delivery = max(delivery, count ?? delivery)
            due = .never
            frees = .discarded
            isRowForgotten = !isRowKept
            move(to: .discarded, "discard_confirmed", nil)
        }
    }

    private mutating func move(to next: LetterState, _ action: String, _ reason: String?) {
        history.append(Entry(action: action, from: state, to: next, reason: reason))
        state = next
    }

    private static func due(
        _ letter: Letter, _ policies: RetryPolicies, failedAttempts: Int, using random: inout some RandomNumberGenerator
    ) -> Due {
        // A letter of another program is retried to its original topic. If it fails again, it comes back as a new
        // letter, so automatic retries would never end.
        guard letter.reason == .failed, letter.dialect == .millrace else { return .never }
        let delay = policies.delayMs(letter.errorClass, failedAttempts: failedAttempts, using: &random)
        return delay.map { .after($0) } ?? .never
    }

    /// The text of a failure in the history. It may be long in the letter itself.
    private static func text(_ letter: Letter) -> String {
        "\(letter.errorClass): \(letter.message)".shortened(toBytes: 300)
    }
}
