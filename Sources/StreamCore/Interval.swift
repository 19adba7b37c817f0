/// Reports at regular intervals that an action is due.
///
/// This is a pure value: it neither sleeps nor reads a clock.
public struct Interval: Sendable {
    private let length: Duration
    private var last: ContinuousClock.Instant?

    /// - Parameter length: the time between two answers that it is due.
    public init(_ length: Duration) {
        self.length = length
    }

    /// Whether the action is due. The first call returns true. After true, a new interval begins.
    public mutating func isDue(_ now: ContinuousClock.Instant) -> Bool {
        if let last, now - last < length { return false }
        last = now
        return true
    }

    /// Makes the action due at the next call.
    public mutating func end() {
        last = nil
    }
}
