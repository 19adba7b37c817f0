public import Events

/// The result of a command: it was carried out, or a rule refused it.
public struct CommandOutcome: Hashable, Sendable {
    public enum Verdict: Hashable, Sendable {
        case accepted(CommandResult)
        case refused(Refusal)
    }

    public let verdict: Verdict
    /// Whether this is the stored answer of an earlier request with the same key.
    public let isReplay: Bool
    /// The number of events that the command produced; 0 for a replay.
    public let events: Int

    public init(_ verdict: Verdict, isReplay: Bool = false, events: Int = 0) {
        self.verdict = verdict
        self.isReplay = isReplay
        self.events = events
    }
}

/// The answer to a command that was carried out.
public struct CommandResult: Hashable, Sendable {
    public let aggregateType: String
    public let aggregateID: String
    /// The aggregate's version after the command, which is the sequence of its last event.
    public let version: Int64
    /// The aggregate's representation as JSON.
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

/// The reason why there is no answer to a command. Except possibly for ``unknownOutcome``, nothing was changed.
public enum CommandFailure: Error, Hashable, Sendable {
    /// The aggregate has this version instead of the expected one; 0 if it does not exist.
    case versionMismatch(current: Int64)
    /// The idempotency key belongs to another request.
    case keyReused
    /// The queue is full.
    case overloaded
    /// The command's deadline passed before a worker took it.
    case deadlineExceeded
    /// All attempts failed because other writers changed the same rows.
    case conflict
    /// The database does not answer in time.
    case unavailable
    /// The connection was lost during COMMIT, and the database could not report the result. The caller may repeat the
    /// command with the same idempotency key: it is then carried out only if it was not committed.
    case unknownOutcome
    /// A permanent error, for which repeating does not help. The log contains the cause.
    case failed
    /// The bus was stopped.
    case stopped
    /// The caller's task was cancelled before a worker took the command.
    case cancelled
}
