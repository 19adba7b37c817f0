/// Says once in a while that it is time.
///
/// A pure value: it neither sleeps nor reads a clock.
public struct Interval: Sendable {
    private let length: Duration
    private var last: ContinuousClock.Instant?

    /// - Parameter length: the time between two answers that it is due.
    public init(_ length: Duration) {
        self.length = length
    }

    /// Whether it is time, as it is at first. If so, the time begins anew.
    public mutating func isDue(_ now: ContinuousClock.Instant) -> Bool {
        if let last, now - last < length { return false }
        last = now
        return true
    }

    /// It is time when asked next.
    public mutating func end() {
        last = nil
    }
}
