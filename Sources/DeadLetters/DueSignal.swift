internal import Leadership
internal import Synchronization

/// Wakes the leader when answers of a consumer have made letters due, so that the next letters of a key need not wait
/// for a poll. A handler that does not lead, or misses the signal, finds them at its next search.
final class DueSignal: Sendable {
    /// Whether a transaction has made letters due and may not be committed yet.
    private let isNoted = Atomic(false)
    private let signal = WakeSignal()

    /// Notes that the current transaction makes letters due.
    func note() { isNoted.store(true, ordering: .relaxed) }

    /// Notes that a transaction committed, so its due letters are visible. After a rollback the leader may be woken
    /// once without need.
    func committed() {
        if isNoted.exchange(false, ordering: .relaxed) { signal.raise() }
    }

    /// Suspends until letters have become due since the last wait, at most for `limit`, or until a cancellation. Only
    /// one task may wait at a time.
    func wait(atMost limit: Duration) async { await signal.wait(atMost: limit) }
}
