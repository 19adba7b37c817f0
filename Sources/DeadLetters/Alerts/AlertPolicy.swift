public import StreamCore

/// Decides when alerts are sent: at most one alert of a kind and group in an interval, each threshold once until it is
/// armed again, and failed attempts again after growing delays. This is a pure value: it reads no clock and sends
/// nothing.
public struct AlertPolicy: Sendable {
    /// The decision about an alert that is due.
    public enum Decision: Sendable, Hashable {
        case send
        /// An alert of the same kind and group was sent recently.
        case postpone(until: Timestamp)
        /// A newer alert of the same group waits, so this one is dropped.
        case supersede
    }

    /// A threshold that the open letters of a consumer have reached.
    public struct Crossing: Sendable, Hashable {
        public let consumer: String
        public let letters: Int64
        public let threshold: Int64
    }

    private let configuration: AlertConfiguration
    /// The number of reached thresholds by consumer, as far as they are not armed again.
    private var levels: [String: Int] = [:]

    public init(_ configuration: AlertConfiguration) {
        self.configuration = configuration
    }

    // MARK: what is sent

    /// - Parameters:
    ///   - createdAt: the time of the reported event.
    ///   - lastSent: the time of the last alert of the same kind and group that was sent; nil if there is none.
    ///   - hasNewer: whether a later alert of the same group waits. The opening and the closing of a circuit breaker
    ///     belong to the same group, but are different kinds.
    ///   - now: the current time.
    public func decide(createdAt: Timestamp, lastSent: Timestamp?, hasNewer: Bool, now: Timestamp) -> Decision {
        let interval = Int64(configuration.intervalMs) * 1_000
        if hasNewer && now.microseconds - createdAt.microseconds > Self.staleAfter { return .supersede }
        guard let lastSent, now.microseconds - lastSent.microseconds < interval else { return .send }
        return hasNewer ? .supersede : .postpone(until: Timestamp(microseconds: lastSent.microseconds + interval))
    }

    /// Age in microseconds after which a newer alert replaces an alert. A younger alert is sent in any case: "the
    /// circuit breaker opened" makes "it closed" understandable.
    private static let staleAfter: Int64 = 60_000_000

    /// The time of the next attempt.
    ///
    /// - Parameters:
    ///   - tries: the number of attempts so far, which all failed.
    ///   - now: the current time.
    ///   - jitter: from 0.5 to 1.
    /// - Returns: nil if the alert is dropped.
    public func nextTry(after tries: Int, now: Timestamp, jitter: Double) -> Timestamp? {
        guard tries < configuration.maxTries else { return nil }
        var delayMs = Double(configuration.initialBackoffMs)
        for _ in 1..<max(tries, 1) where delayMs < Double(configuration.maxBackoffMs) { delayMs *= 2 }
        delayMs = min(delayMs, Double(configuration.maxBackoffMs)) * jitter
        return Timestamp(microseconds: now.microseconds + Int64(delayMs * 1_000))
    }

    // MARK: thresholds

    /// Restores the state of an earlier run, so a restart sends no alert again.
    ///
    /// - Parameter letters: the number of letters in the last threshold alert, by consumer.
    public mutating func resume(from letters: [String: Int64]) {
        levels = letters.mapValues(reached)
    }

    /// - Parameter openLetters: the number of open letters by consumer; 0 for others.
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
