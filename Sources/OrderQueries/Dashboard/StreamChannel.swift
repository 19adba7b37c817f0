internal import HTTP
internal import Synchronization

/// The updates of one window, and the clients that follow it.
///
/// Each event is encoded once, and all clients are sent the same memory. The channel stores no data for a client except
/// its position. A slow client receives the events that it missed from the ring, or a new snapshot.
final class StreamChannel: Sendable {
    /// The next data for a client.
    enum Delivery: Sendable {
        /// Events, and the number of the last one.
        case events([HTTPChunk], position: Int64)
        /// There were no events for a while.
        case heartbeat
        /// The client has left, or the service stops.
        case cancelled
    }

    private struct State {
        var document: DashboardDocument?
        var ring: EventRing<HTTPChunk>
        /// The newest document, encoded as a snapshot. It is created when a client needs it.
        var snapshot: HTTPChunk?
        var waiters: [UInt64: CheckedContinuation<Bool, Never>] = [:]
        var lastWaiter: UInt64 = 0
        var followers = 0
        /// The time of the last request for this window.
        var wantedAt: ContinuousClock.Instant?
    }

    let window: DashboardWindow
    private let epoch: String
    private let state: Mutex<State>

    /// Number of events that are kept for clients that missed them. To a client that missed more, a snapshot is
    /// shorter.
    private static let ringCapacity = 16

    /// - Parameter epoch: a text that no other process has.
    init(window: DashboardWindow, epoch: String) {
        self.window = window
        self.epoch = "\(epoch).\(window.rawValue)"
        state = Mutex(State(ring: EventRing(capacity: Self.ringCapacity)))
    }

    // MARK: for the hub

    var document: DashboardDocument? { state.withLock { $0.document } }

    /// Whether a client follows the window, or requested it within the last `patience`.
    func isWanted(within patience: Duration) -> Bool {
        state.withLock { state in
            state.followers > 0 || state.wantedAt.map { ContinuousClock.now - $0 < patience } ?? false
        }
    }

    /// Takes a new document, and sends what has changed.
    func publish(_ document: DashboardDocument) {
        let waiting = state.withLock { state in
            let changes = state.document.map { document.changes(since: $0) }
            state.document = document
            if let changes, changes.isEmpty { return [CheckedContinuation<Bool, Never>]() }
            state.snapshot = nil
            // The first document is event 1. It is never sent as an update, because clients begin with a snapshot.
            let id = StreamPosition(epoch: epoch, number: state.ring.next).text
            let data = document.json(of: changes ?? [])
            state.ring.append(HTTPChunk(ServerSentEvent.bytes("update", id: id, data: data)))
            defer { state.waiters.removeAll(keepingCapacity: true) }
            return Array(state.waiters.values)
        }
        for continuation in waiting { continuation.resume(returning: true) }
    }

    /// Makes all waiting clients send a heartbeat.
    func beat() {
        let waiting = state.withLock { state in
            defer { state.waiters.removeAll(keepingCapacity: true) }
            return Array(state.waiters.values)
        }
        for continuation in waiting { continuation.resume(returning: false) }
    }

    // MARK: for a client

    func want() { state.withLock { $0.wantedAt = .now } }

    func follow() { state.withLock { $0.followers += 1 } }

    func unfollow() {
        state.withLock { state in
            state.followers -= 1
            state.wantedAt = .now
        }
    }

    /// The position at which a client continues that has received the event `lastEventID`; nil if it needs a snapshot.
    func position(after lastEventID: String?) -> Int64? {
        guard let seen = lastEventID.flatMap({ StreamPosition($0) }), seen.epoch == epoch else { return nil }
        return state.withLock { $0.ring.events(after: seen.number) == nil ? nil : seen.number }
    }

    /// Waits for the events after a position. Returns a snapshot if there is no position.
    func next(after position: Int64?) async -> Delivery {
        while true {
            if let delivery = deliver(after: position) { return delivery }
            if Task.isCancelled { return .cancelled }
            let hasNews = await waitForNews(after: position)
            if Task.isCancelled { return .cancelled }
            if !hasNews { return .heartbeat }
        }
    }

    private func deliver(after position: Int64?) -> Delivery? {
        state.withLock { state in
            guard let document = state.document else { return nil }
            let last = state.ring.last
            if let position, let events = state.ring.events(after: position) {
                return events.isEmpty ? nil : .events(events, position: last)
            }
            if let snapshot = state.snapshot { return .events([snapshot], position: last) }
            let id = StreamPosition(epoch: epoch, number: last).text
            let snapshot = HTTPChunk(ServerSentEvent.bytes("snapshot", id: id, data: document.json()))
            state.snapshot = snapshot
            return .events([snapshot], position: last)
        }
    }

    /// - Returns: false for a heartbeat.
    private func waitForNews(after position: Int64?) async -> Bool {
        let id = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let resumesAtOnce = state.withLock { state in
                    if Task.isCancelled || (state.document != nil && state.ring.last != position) { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if resumesAtOnce { continuation.resume(returning: true) }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(returning: false)
        }
    }
}
