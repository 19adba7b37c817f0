internal import Synchronization

/// Keeps several runners together to a number of records a second: who took some waits until they are due.
public final class RecordPace: Sendable {
    private let schedule: Mutex<PaceSchedule>

    /// - Parameter perSecond: most records a second, of all runners with this pace; positive.
    public init(perSecond: Int) {
        schedule = Mutex(PaceSchedule(perSecond: perSecond))
    }

    /// Most records of a batch, so that nobody waits for much longer than a tenth of a second.
    var batchLimit: Int { schedule.withLock { max(1, $0.perSecond / 10) } }

    /// Waits until as many records as were taken now may have been taken; until the task is cancelled, at most.
    func wait(forTaking count: Int) async {
        let due = schedule.withLock { $0.take(count, now: .now) }
        try? await Task.sleep(until: due)
    }
}

/// When records are due that are taken at a rate. A pure value. Time in which nothing is taken is not made up for.
struct PaceSchedule {
    let perSecond: Int
    private var next: ContinuousClock.Instant?

    init(perSecond: Int) {
        self.perSecond = perSecond
    }

    /// - Returns: when the next records may be taken.
    mutating func take(_ count: Int, now: ContinuousClock.Instant) -> ContinuousClock.Instant {
        let begin = max(next ?? now, now)
        let due = begin + .seconds(1) * count / perSecond
        next = due
        return due
    }
}
