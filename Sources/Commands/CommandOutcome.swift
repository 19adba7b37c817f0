public import Events

/// What became of a command: it was carried out, or a rule refuses it.
public struct CommandOutcome: Hashable, Sendable {
    public enum Verdict: Hashable, Sendable {
        case accepted(CommandResult)
        case refused(Refusal)
    }

    public let verdict: Verdict
    /// Whether this is the answer that an earlier request with the same key was given.
    public let isReplay: Bool
    /// How many events the command has made now; 0 for the answer to a repetition.
    public let events: Int

    public init(_ verdict: Verdict, isReplay: Bool = false, events: Int = 0) {
        self.verdict = verdict
        self.isReplay = isReplay
        self.events = events
    }
}

/// What a command that was carried out is answered.
public struct CommandResult: Hashable, Sendable {
    public let aggregateType: String
    public let aggregateID: String
    /// The aggregate's version after the command: the sequence of its last event.
    public let version: Int64
    /// What the domain shows of it, as JSON.
    public let body: [UInt8]

    public init(aggregateType: String, aggregateID: String, version: Int64, body: [UInt8]) {
        self.aggregateType = aggregateType
        self.aggregateID = aggregateID
        self.version = version
        self.body = body
    }
}

/// A refusal by a rule of any domain.
public struct Refusal: Error, Hashable, Sendable {
    /// The rule's name.
    public let rule: String
    public let kind: RuleKind
    /// The rule in one sentence.
    public let summary: String
    public let detail: String

    public init(rule: String, kind: RuleKind, summary: String, detail: String) {
        self.rule = rule
        self.kind = kind
        self.summary = summary
        self.detail = detail
    }

    public init(_ rejection: Rejection<some Rule>) {
        let rule = rejection.rule
        self.init(rule: rule.rawValue, kind: rule.kind, summary: rule.summary, detail: rejection.detail)
    }
}

/// Why there is no answer to a command. Except for ``unknownOutcome``, nothing was changed.
public enum CommandFailure: Error, Hashable, Sendable {
    /// The aggregate does not have the expected version, but this one; 0 for an aggregate that does not exist.
    case versionMismatch(current: Int64)
    /// The idempotency key belongs to another request.
    case keyReused
    /// More commands wait than may.
    case overloaded
    /// The command's time was over before it had its turn.
    case deadlineExceeded
    /// Others changed the same again and again.
    case conflict
    /// The database does not answer, or not in time.
    case unavailable
    /// The connection was lost in COMMIT and the database does not say how it ended. Repeated with the same idempotency
    /// key, the command is carried out if it was not.
    case unknownOutcome
    /// Something is wrong that a repetition does not mend; the log says what.
    case failed
    /// The bus was stopped.
    case stopped
    /// The caller's task was cancelled before the command had its turn.
    case cancelled
}
