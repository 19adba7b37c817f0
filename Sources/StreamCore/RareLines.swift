/// Limits repeated log lines: the first line of a kind is due at once, and later ones only at intervals.
///
/// This is a pure value: it neither sleeps nor reads a clock.
public struct RareLines: Sendable {
    private let interval: Duration
    /// The time of the last line of each kind.
    private var last: [String: ContinuousClock.Instant] = [:]
    /// Maximum number of kinds that are remembered. Some kinds are made from error texts.
    private static let limit = 1_000

    /// - Parameter interval: the time between two lines of a kind.
    public init(every interval: Duration = .seconds(60)) {
        self.interval = interval
    }

    /// Whether a line of this kind is due. After true, the next one is due after the interval.
    public mutating func isDue(_ kind: String, _ now: ContinuousClock.Instant) -> Bool {
        if let last = last[kind], now - last < interval { return false }
        if last.count >= Self.limit { last = [:] }
        last[kind] = now
        return true
    }

    /// Notes that the condition of this kind has ended. The next line is due at once.
    ///
    /// - Returns: whether a line of this kind was logged.
    @discardableResult
    public mutating func end(_ kind: String) -> Bool {
        last.removeValue(forKey: kind) != nil
    }
}
