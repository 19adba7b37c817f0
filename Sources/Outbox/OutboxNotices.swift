internal import Leadership
internal import Synchronization

/// Notifications of new rows. They end the pause after an empty page. They do not end the pause after a page with rows:
/// while rows keep coming, the relay reads fewer and larger pages, however many notifications there are.
final class OutboxNotices: Sendable {
    private struct State {
        var isAwaited = false
        /// Whether a notification has come since the last page was requested.
        var hasCome = false
    }

    private let state = Mutex(State())
    private let signal: WakeSignal

    /// - Parameter signal: wakes the publisher.
    init(waking signal: WakeSignal) {
        self.signal = signal
    }

    /// Notes that a notification has come.
    func arrived() {
        let isAwaited = state.withLock { state in
            state.hasCome = true
            return state.isAwaited
        }
        if isAwaited { signal.raise() }
    }

    /// Forgets the notifications so far, because a page is requested now and will have their rows.
    func beginRead() {
        state.withLock { $0.hasCome = false }
    }

    /// Suspends after an empty page, until the signal or a notification, at most for `limit`. A notification since the
    /// page was requested may be about rows that the page does not have, so there is no pause then.
    func wait(atMost limit: Duration) async {
        let hasCome = state.withLock { state in
            state.isAwaited = true
            return state.hasCome
        }
        if !hasCome { await signal.wait(atMost: limit) }
        state.withLock { $0.isAwaited = false }
    }
}
