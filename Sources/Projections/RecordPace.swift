internal import Synchronization

/// Limits several runners together to a number of records per second. A runner that took records waits until they are
/// due.
public final class RecordPace: Sendable {
    private let schedule: Mutex<PaceSchedule>

    /// - Parameter perSecond: the maximum number of records per second, for all runners that share this object;
    ///   positive.
    public init(perSecond: Int) {
        schedule = Mutex(PaceSchedule(perSecond: perSecond))
    }

    /// The maximum number of records in a batch, so that no runner waits much longer than a tenth of a second.
    var batchLimit: Int { schedule.withLock { max(1, $0.perSecond / 10) } }

    /// Waits until `count` records are due, or the task is cancelled.
    func wait(forTaking count: Int) async {
        let due = schedule.withLock { $0.take(count, now: .now) }
        try? await Task.sleep(until: due)
    }
}

/// Computes when records are due at a given rate. A pure value. Unused time is not made up for.
struct PaceSchedule {
    let perSecond: Int
    private var next: ContinuousClock.Instant?

    init(perSecond: Int) {
        self.perSecond = perSecond
    }

    /// - Returns: the time from which the next records may be taken.
    mutating func take(_ count: Int, now: ContinuousClock.Instant) -> ContinuousClock.Instant {
        let begin = max(next ?? now, now)
        let due = begin + .seconds(1) * count / perSecond
        next = due
        return due
    }
}
