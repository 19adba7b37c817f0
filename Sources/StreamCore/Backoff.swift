/// Delays between attempts. They grow exponentially, with jitter between half and the whole of each step, so that
/// processes that failed together do not try again together.
///
/// This is a pure value: it neither sleeps nor reads a clock.
public struct Backoff: Sendable {
    /// The first delay, before jitter.
    public let initial: Duration
    /// The maximum delay.
    public let ceiling: Duration
    /// The number of delays since the last ``reset()``.
    public private(set) var attempts = 0

    public init(initial: Duration, ceiling: Duration) {
        precondition(initial > .zero && ceiling >= initial, "a backoff needs 0 < initial ≤ ceiling")
        self.initial = initial
        self.ceiling = ceiling
    }

    /// The delay before the next attempt.
    ///
    /// - Parameter random: the source of the jitter.
    public mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
        var step = initial
        for _ in 0..<min(attempts, 62) {
            if step >= ceiling { break }
            step = min(step * 2, ceiling)
        }
        attempts += 1
        return step * Double.random(in: 0.5...1, using: &random)
    }

    /// The delay before the next attempt, with the system's randomness.
    public mutating func next() -> Duration {
        var random = SystemRandomNumberGenerator()
        return next(using: &random)
    }

    /// Notes a success: the next delay after it is ``initial`` again.
    public mutating func reset() {
        attempts = 0
    }
}
