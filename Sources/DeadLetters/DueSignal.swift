internal import Leadership
internal import Synchronization

/// Wakes the leader when letters have become due by answers of a consumer, so that the next letters of a sequence need
/// not wait for a poll. A handler that does not lead, or misses the signal, finds them when it looks.
final class DueSignal: Sendable {
    /// A transaction made letters due, and it may not be committed yet.
    private let isNoted = Atomic(false)
    private let signal = WakeSignal()

    /// The transaction under way makes letters due.
    func note() { isNoted.store(true, ordering: .relaxed) }

    /// A transaction is committed: what it has made due can be seen now. What one that was rolled back noted wakes the
    /// leader once more than needed.
    func committed() {
        if isNoted.exchange(false, ordering: .relaxed) { signal.raise() }
    }

    /// Suspends until letters have become due since the last wait, but no longer than `limit`; returns also when
    /// cancelled. One task at a time.
    func wait(atMost limit: Duration) async { await signal.wait(atMost: limit) }
}
