/// Detects whether a loop or a partition is stalled.
///
/// A pure value: the caller reports the activity and can query the state at any time. A lag is healthy, and so is
/// waiting for a broker or a database. Work is stalled only if nothing outside holds it up and it makes no progress for
/// too long.
public struct ProgressWatch: Sendable {
    /// The current activity of the loop.
    public enum Activity: Hashable, Sendable {
        /// There is no work.
        case idle
        /// There is work, and it should make progress.
        case working
        /// There is work, but something outside holds it up. The loop itself runs and keeps trying.
        case heldUp
    }

    /// The maximum time that work may make no progress.
    public let limit: Duration
    public private(set) var activity = Activity.idle
    private var lastMove: Duration

    /// - Parameters:
    ///   - limit: the maximum time that work may make no progress.
    ///   - now: the time on a monotonic clock with any zero point.
    public init(limit: Duration, now: Duration) {
        self.limit = limit
        lastMove = now
    }

    /// Reports a change of activity. A change to ``Activity/working`` starts the time limit.
    public mutating func turned(to activity: Activity, now: Duration) {
        if activity != .working || self.activity != .working { lastMove = now }
        self.activity = activity
    }

    /// Reports progress, which restarts the time limit.
    public mutating func progressed(now: Duration) {
        lastMove = now
    }

    /// The time without progress if it exceeds the limit; otherwise nil.
    public func stalled(now: Duration) -> Duration? {
        guard activity == .working, now - lastMove > limit else { return nil }
        return now - lastMove
    }
}
