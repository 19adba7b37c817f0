public import StreamCore

/// When to tell what: at most one alert of a kind and group in an interval, thresholds once until they are armed again,
/// failed attempts again after growing delays. Pure: it reads no clock and sends nothing.
public struct AlertPolicy: Sendable {
    /// What to do with an alert whose time has come.
    public enum Decision: Sendable, Hashable {
        case send
        /// Its like was sent a short while ago.
        case postpone(until: Timestamp)
        /// Newer news of the same group waits: this one is not worth a message.
        case supersede
    }

    /// A consumer's open letters have reached a threshold.
    public struct Crossing: Sendable, Hashable {
        public let consumer: String
        public let letters: Int64
        public let threshold: Int64
    }

    private let configuration: AlertConfiguration
    /// By consumer, how many of the thresholds are reached and not armed again.
    private var levels: [String: Int] = [:]

    public init(_ configuration: AlertConfiguration) {
        self.configuration = configuration
    }

    // MARK: what is sent

    /// - Parameters:
    ///   - createdAt: when what it tells happened.
    ///   - lastSent: when an alert of the same kind and group was sent last.
    ///   - hasNewer: whether a later alert of the same group waits to be sent. A circuit breaker that opens and one
    ///     that closes are of the same group, and of two kinds.
    public func decide(createdAt: Timestamp, lastSent: Timestamp?, hasNewer: Bool, now: Timestamp) -> Decision {
        let interval = Int64(configuration.intervalMs) * 1_000
        if hasNewer && now.microseconds - createdAt.microseconds > Self.staleAfter { return .supersede }
        guard let lastSent, now.microseconds - lastSent.microseconds < interval else { return .send }
        return hasNewer ? .supersede : .postpone(until: Timestamp(microseconds: lastSent.microseconds + interval))
    }

    /// News that is younger is told even if newer news waits: "the circuit breaker opened" makes "it closed"
    /// understandable.
    private static let staleAfter: Int64 = 60_000_000

    /// When to try again after so many attempts that all failed.
    ///
    /// - Parameter jitter: from 0.5 to 1.
    /// - Returns: nil when it is to be given up.
    public func nextTry(after tries: Int, now: Timestamp, jitter: Double) -> Timestamp? {
        guard tries < configuration.maxTries else { return nil }
        var delayMs = Double(configuration.initialBackoffMs)
        for _ in 1..<max(tries, 1) where delayMs < Double(configuration.maxBackoffMs) { delayMs *= 2 }
        delayMs = min(delayMs, Double(configuration.maxBackoffMs)) * jitter
        return Timestamp(microseconds: now.microseconds + Int64(delayMs * 1_000))
    }

    // MARK: thresholds

    /// Takes up what an earlier run has told, so that a restart tells nothing again.
    ///
    /// - Parameter letters: by consumer, the number in the last alert of a threshold.
    public mutating func resume(from letters: [String: Int64]) {
        levels = letters.mapValues(reached)
    }

    /// - Parameter openLetters: by consumer; one that is not in it has none.
    /// - Returns: for each consumer at most the highest threshold that is newly reached.
    public mutating func observe(_ openLetters: [String: Int64]) -> [Crossing] {
        var crossings: [Crossing] = []
        for consumer in Set(openLetters.keys).union(levels.keys).sorted() {
            let letters = openLetters[consumer] ?? 0
            var level = levels[consumer] ?? 0
            while level > 0 && letters * 2 < configuration.thresholds[level - 1] { level -= 1 }
            let reached = reached(letters)
            if reached > level {
                level = reached
                let threshold = configuration.thresholds[reached - 1]
                crossings.append(Crossing(consumer: consumer, letters: letters, threshold: threshold))
            }
            levels[consumer] = level == 0 ? nil : level
        }
        return crossings
    }

    private func reached(_ letters: Int64) -> Int {
        configuration.thresholds.prefix { $0 <= letters }.count
    }
}
