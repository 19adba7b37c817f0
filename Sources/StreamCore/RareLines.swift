/// Which log lines are due: what goes on for hours is said at once, and then only once in a while.
///
/// A pure value: it neither sleeps nor reads a clock.
public struct RareLines: Sendable {
    private let interval: Duration
    /// When a line of a kind was last due.
    private var last: [String: ContinuousClock.Instant] = [:]
    /// Kinds that are remembered, at most; they are made of errors' texts here and there.
    private static let limit = 1_000

    /// - Parameter interval: the time between two lines of a kind.
    public init(every interval: Duration = .seconds(60)) {
        self.interval = interval
    }

    /// Whether a line of this kind is due; if so, the next one is not for a while.
    public mutating func isDue(_ kind: String, _ now: ContinuousClock.Instant) -> Bool {
        if let last = last[kind], now - last < interval { return false }
        if last.count >= Self.limit { last = [:] }
        last[kind] = now
        return true
    }

    /// What the lines of a kind say is over: the next one is due at once.
    ///
    /// - Returns: whether there was any.
    @discardableResult
    public mutating func end(_ kind: String) -> Bool {
        last.removeValue(forKey: kind) != nil
    }
}
