/// Tells whether one loop, or one partition of it, still moves.
///
/// A pure value that is told what the loop does and asked at any time. Being behind is healthy, and so is waiting for
/// a broker or a database: only work that is there, that nothing outside holds up and that does not move for too long
/// is a stall.
public struct ProgressWatch: Sendable {
    /// What the loop is doing.
    public enum Activity: Hashable, Sendable {
        /// There is nothing to do.
        case idle
        /// There is work, and it should move.
        case working
        /// There is work that something outside holds up; the loop itself turns, trying again.
        case heldUp
    }

    /// Work that has not moved for longer is stalled.
    public let limit: Duration
    public private(set) var activity = Activity.idle
    private var lastMove: Duration

    /// - Parameters:
    ///   - limit: how long work may stand still.
    ///   - now: the time on a clock that never goes back; its zero is of no importance.
    public init(limit: Duration, now: Duration) {
        self.limit = limit
        lastMove = now
    }

    /// The loop does something else now. Going to work starts the time, unless it was at work already.
    public mutating func turned(to activity: Activity, now: Duration) {
        if activity != .working || self.activity != .working { lastMove = now }
        self.activity = activity
    }

    /// Some of the work is done.
    public mutating func progressed(now: Duration) {
        lastMove = now
    }

    /// How long the work has stood still; nil while it has not stood still for too long.
    public func stalled(now: Duration) -> Duration? {
        guard activity == .working, now - lastMove > limit else { return nil }
        return now - lastMove
    }
}
