public import Logging

/// The limits of a command bus.
public struct CommandBusConfiguration: Sendable {
    /// Sessions of the database that carry commands out; each runs one transaction at a time.
    public var connections = 4
    /// Commands that share a transaction, at most.
    public var batchLimit = 32
    /// Commands that wait, at most; further ones are refused at once.
    public var maxQueued = 2_000
    /// How long a command waits for its turn and is tried again, in milliseconds, unless its request says otherwise.
    public var timeoutMs = 5_000
    /// How often a command is tried that meets a conflict or a failure which may pass.
    public var maxAttempts = 8
    /// The server cancels a statement after so many milliseconds.
    public var statementTimeoutMs = 5_000
    /// The server gives up waiting for a lock after so many milliseconds.
    public var lockTimeoutMs = 2_000
    /// How many hours the answers to commands with an idempotency key are kept, at least.
    public var answersKeptHours = 24
    /// Seconds between two looks for answers that are too old.
    public var pruneIntervalS = 60
    /// How many facts of a kind are kept in memory, at most; 0 for none. See ``CachedFact``.
    public var cachedFacts = 100_000
    /// How many seconds a fact is kept in memory, at most.
    public var cachedFactS = 60
    /// At which level each command is one line of the log.
    public var logLevel: Logger.Level = .info

    public init() {}

    /// What is wrong with the values, in words; empty when nothing is.
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
