internal import Leadership
internal import Synchronization

/// Notifications of new rows. They end the pause after an empty page. They do not end the pause after a page with rows:
/// while rows keep coming, the relay reads fewer and larger pages, however many notifications there are.
///
/// While notifications come, an empty outbox is read rarely. Rows that were found without a notification show that not
/// all writers notify.
final class OutboxNotices: Sendable {
    private struct State {
        var isAwaited = false
        /// Whether a notification has come since the last page was requested.
        var hasCome = false
        /// Whether one had come when the last page was requested.
        var hadCome = false
        var areSent = false
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
            state.areSent = true
            return state.isAwaited
        }
        if isAwaited { signal.raise() }
    }

    /// Forgets the notifications so far, because a page is requested now and will have their rows.
    func beginRead() {
        state.withLock { state in
            state.hadCome = state.hasCome
            state.hasCome = false
        }
    }

    /// Whether the writers of rows notify, as far as is known.
    var areSent: Bool { state.withLock { $0.areSent } }

    /// Notes that the last page has rows.
    func foundRows() {
        state.withLock { state in
            if !state.hadCome && !state.hasCome { state.areSent = false }
        }
    }

    /// Notes that no notifications can come for the time being.
    func cannotCome() {
        state.withLock { $0.areSent = false }
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
