extension DeadLetterStore {
    /// The changes that an operator may make.
    public enum Change: String, Sendable, Hashable, CaseIterable {
        /// Makes a pending letter due. The handler sends it with its whole sequence.
        case retry
        /// Discards a pending letter, and requests the consumer to delete the parked event.
        case discard
        /// Discards an unfinished letter at once, without a request to its consumer. Use it if the consumer no longer
        /// exists. If the consumer is started again, the event is still parked there and may block its key.
        case discardWithoutTelling = "discard_without_telling"
        /// Makes a discarded letter pending again. It waits for an operator.
        case restore
    }

    /// The reason why a letter was not changed.
    public enum Skip: String, Sendable, Hashable, CaseIterable {
        case isPending = "pending"
        case isRetrying = "retrying"
        case isResolved = "resolved"
        case isDiscarded = "discarded"
        /// The letter comes from another program and its original topic is unknown, so it cannot be sent.
        case hasNoReplayTopic = "no_replay_topic"
        /// The consumer has not received the discard yet. A retry could overtake it.
        case isDiscardUnderway = "discard_underway"

        /// The state and the advice, for operators.
        public var explanation: String {
            switch self {
            case .isPending: "pending: it was not discarded"
            case .isRetrying: "being retried: wait for the consumer's answer"
            case .isResolved: "resolved: the consumer has applied it"
            case .isDiscarded: "discarded: restore it first"
            case .hasNoReplayTopic: "its original topic is unknown"
            case .isDiscardUnderway: "its discard is still being sent: try again in a moment"
            }
        }
    }

    /// The result of a change, or of its preview.
    public struct Outcome: Sendable, Hashable {
        /// The number of letters that were changed, or would be changed.
        public var changed: Int64 = 0
        /// The number of unchanged letters of the selection, by reason.
        public var skipped: [Skip: Int64] = [:]
        /// The requested numbers without a letter.
        public var missing: [Int64] = []

        public init() {}

        public var isEmpty: Bool { changed == 0 && skipped.isEmpty }
    }
}

extension DeadLetterStore.Change {
    /// An SQL expression over `dead_letters AS l`: `ok`, or the reason why the letter cannot be changed.
    var verdict: String {
        switch self {
        case .retry:
            """
            CASE WHEN l.state <> 'pending' THEN l.state WHEN l.replay_topic IS NULL THEN 'no_replay_topic'
                ELSE 'ok' END
            """
        case .discard:
            "CASE WHEN l.state <> 'pending' THEN l.state ELSE 'ok' END"
        case .discardWithoutTelling:
            "CASE WHEN \(isLegal) THEN 'ok' ELSE l.state END"
        case .restore:
            """
            CASE WHEN l.state <> 'discarded' THEN l.state WHEN \(Self.isDiscardUnderway) THEN 'discard_underway'
                ELSE 'ok' END
            """
        }
    }

    /// Whether a letter may be changed, as a condition that indexes support.
    var isLegal: String {
        switch self {
        case .retry: "l.state = 'pending' AND l.replay_topic IS NOT NULL"
        case .discard: "l.state = 'pending'"
        case .discardWithoutTelling: "(l.state IN ('pending', 'retrying') OR l.is_discard_open)"
        case .restore: "l.state = 'discarded' AND NOT \(Self.isDiscardUnderway)"
        }
    }

    private static let isDiscardUnderway = """
        EXISTS (SELECT FROM dead_letter_sends AS s WHERE s.letter_id = l.letter_id AND s.action = 'discard')
        """

    /// The assignments of `UPDATE dead_letters`. `numbered.due` is the time at which a retry is due.
    var assignments: String {
        switch self {
        case .retry: "next_attempt_at = numbered.due"
        // It has its own delivery number, so a late copy of an earlier failure does not open the letter again.
        case .discard:
            """
            state = 'discarded', state_since = clock_timestamp(), next_attempt_at = NULL, delivery = l.delivery + 1,
                unanswered = 0, is_discard_open = l.dialect = 'millrace', is_row_forgotten = l.dialect = 'millrace'
            """
        // This change has its own delivery number too. It does not change whether the consumer has the event's row.
        case .discardWithoutTelling:
            """
            state = 'discarded', state_since = clock_timestamp(), next_attempt_at = NULL, delivery = l.delivery + 1,
                unanswered = 0, is_discard_open = false
            """
        case .restore:
            "state = 'pending', state_since = clock_timestamp(), next_attempt_at = NULL, is_discard_open = false"
        }
    }

    /// The action for the history, and the state after the change.
    var history: (action: String, to: DeadLetterStore.State) {
        switch self {
        case .retry: ("retry_requested", .pending)
        case .discard: ("discard_requested", .discarded)
        case .discardWithoutTelling: ("discarded_without_telling", .discarded)
        case .restore: ("restored", .pending)
        }
    }

    /// The text that the history adds to the operator's reason; nil for none.
    var historyNote: String? {
        self == .discardWithoutTelling
            ? "the consumer was not notified: if it is started again, the key may be blocked" : nil
    }

    /// The effect on queued sends of the letters in `changed`: an additional common table expression, or an empty text.
    var sends: String {
        switch self {
        case .retry, .restore: ""
        case .discard:
            """
            , told AS (
                INSERT INTO dead_letter_sends (letter_id, action, delivery, edit)
                SELECT letter_id, 'discard', delivery, 0 FROM changed WHERE dialect = 'millrace' ORDER BY letter_id
            )
            """
        case .discardWithoutTelling:
            """
            , untold AS (
                DELETE FROM dead_letter_sends AS s USING changed WHERE s.letter_id = changed.letter_id
            )
            """
        }
    }
}
