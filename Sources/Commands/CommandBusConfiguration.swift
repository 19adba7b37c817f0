public import Logging

/// The limits of a command bus.
public struct CommandBusConfiguration: Sendable {
    /// Number of database sessions. Each runs one transaction at a time.
    public var connections = 4
    /// Maximum number of commands in one transaction.
    public var batchLimit = 32
    /// Maximum number of commands in the queue. The bus rejects further commands at once.
    public var maxQueued = 2_000
    /// Maximum time for waiting in the queue and for repeated attempts, in milliseconds. A request can set another
    /// limit.
    public var timeoutMs = 5_000
    /// Maximum number of attempts after conflicts and temporary failures.
    public var maxAttempts = 8
    /// Time after which the server cancels a statement, in milliseconds.
    public var statementTimeoutMs = 5_000
    /// Time after which the server stops waiting for a lock, in milliseconds.
    public var lockTimeoutMs = 2_000
    /// Minimum time for which answers under idempotency keys are stored, in hours.
    public var answersKeptHours = 24
    /// Time between two deletions of old answers, in seconds.
    public var pruneIntervalS = 60
    /// Maximum number of cached facts of each kind; 0 disables the cache. See ``CachedFact``.
    public var cachedFacts = 100_000
    /// Maximum time for which a fact is cached, in seconds.
    public var cachedFactS = 60
    /// The channel of a NOTIFY after the commit of each transaction with events; nil for none. A relay that listens to
    /// it reads the outbox at once.
    public var notifyChannel: String?
    /// The level of the log line that is written for each command.
    public var logLevel: Logger.Level = .info

    public init() {}

    /// The problems of the values; empty if there are none.
    public func validate() -> [String] {
        let limits: [(String, Int, ClosedRange<Int>)] = [
            ("connections", connections, 1...256), ("batchLimit", batchLimit, 1...1_000),
            ("maxQueued", maxQueued, 1...1_000_000), ("timeoutMs", timeoutMs, 1...600_000),
            ("maxAttempts", maxAttempts, 1...100), ("statementTimeoutMs", statementTimeoutMs, 1...600_000),
            ("lockTimeoutMs", lockTimeoutMs, 1...600_000), ("answersKeptHours", answersKeptHours, 1...8_760),
            ("pruneIntervalS", pruneIntervalS, 1...86_400), ("cachedFacts", cachedFacts, 0...10_000_000),
            ("cachedFactS", cachedFactS, 1...3_600),
        ]
        return limits.filter { !$0.2.contains($0.1) }
            .map { "\($0.0) is not within \($0.2.lowerBound)…\($0.2.upperBound)" }
    }
}
