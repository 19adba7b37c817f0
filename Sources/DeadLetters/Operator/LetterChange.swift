extension DeadLetterStore {
    /// What an operator may do to a letter.
    public enum Change: String, Sendable, Hashable, CaseIterable {
        /// A pending letter becomes due: the handler sends it, with its whole sequence, when its time has come.
        case retry
        /// A pending letter is given up, and its consumer told to forget it.
        case discard
        /// A letter that is not over is given up at once, and its consumer, which is gone for good, is told nothing.
        /// One that comes back has the event still parked, and so may hold its key blocked.
        case discardWithoutTelling = "discard_without_telling"
        /// A discarded letter is pending again, and waits for an operator.
        case restore
    }

    /// Why a letter was left as it is.
    public enum Skip: String, Sendable, Hashable, CaseIterable {
        case isPending = "pending"
        case isRetrying = "retrying"
        case isResolved = "resolved"
        case isDiscarded = "discarded"
        /// A letter of others whose topic is not known cannot be sent anywhere.
        case hasNoReplayTopic = "no_replay_topic"
        /// The consumer has not been told of the discard yet; restored now, its retry could overtake that.
        case isDiscardUnderway = "discard_underway"

        /// For people: what is so, and what to do.
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

    /// What a change did, or would do.
    public struct Outcome: Sendable, Hashable {
        /// Letters that were changed, or would be.
        public var changed: Int64 = 0
        /// Letters of the selection that are left as they are, by the reason.
        public var skipped: [Skip: Int64] = [:]
        /// Numbers given that no letter has.
        public var missing: [Int64] = []

        public init() {}

        public var isEmpty: Bool { changed == 0 && skipped.isEmpty }
    }
}

extension DeadLetterStore.Change {
    /// `ok`, or why not: an expression over `dead_letters AS l`.
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

    /// Whether a letter may be changed, in a form that indexes serve.
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

    /// What `UPDATE dead_letters` sets; `numbered.due` is when a retry is due.
    var assignments: String {
        switch self {
        case .retry: "next_attempt_at = numbered.due"
        // A delivery of its own, so that a late copy of an earlier failure does not open the letter again.
        case .discard:
            """
            state = 'discarded', state_since = clock_timestamp(), next_attempt_at = NULL, delivery = l.delivery + 1,
                unanswered = 0, is_discard_open = l.dialect = 'millrace', is_row_forgotten = l.dialect = 'millrace'
            """
        // A number of its own here, too. Whether the consumer has the event's row is as it was.
        case .discardWithoutTelling:
            """
            state = 'discarded', state_since = clock_timestamp(), next_attempt_at = NULL, delivery = l.delivery + 1,
                unanswered = 0, is_discard_open = false
            """
        case .restore:
            "state = 'pending', state_since = clock_timestamp(), next_attempt_at = NULL, is_discard_open = false"
        }
    }

    /// The history's action, and the state after.
    var history: (action: String, to: DeadLetterStore.State) {
        switch self {
        case .retry: ("retry_requested", .pending)
        case .discard: ("discard_requested", .discarded)
        case .discardWithoutTelling: ("discarded_without_telling", .discarded)
        case .restore: ("restored", .pending)
        }
    }

    /// What the history adds to the operator's reason; nil for nothing.
    var historyNote: String? {
        self == .discardWithoutTelling
            ? "the consumer was not told: if it is started again, the key may be blocked" : nil
    }

    /// What happens to the sends of the letters in `changed`: a further common table expression, or nothing.
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
