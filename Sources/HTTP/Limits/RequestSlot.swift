internal import Synchronization

/// What a handler may do for a request instead of answering it at once. Each has limits of its own
/// (``HTTPServerConfiguration``), so that requests which wait or search for long leave room for the others.
public enum HTTPWork: Sendable {
    /// Waits for something to happen, and takes nothing meanwhile but memory.
    case wait
    /// May take long to find.
    case search

    var share: Share { self == .wait ? .wait : .search }
}

/// The share of the server that one request holds from its admission to its end.
final class RequestSlot: Sendable {
    private struct State {
        var share: Share
        /// The client has ended its side of the connection.
        var isAbandoned = false
    }

    private let admission: Admission
    private let client: ClientIdentity
    private let state: Mutex<State>

    /// - Throws: when there is no room.
    init(_ share: Share, of client: ClientIdentity, in admission: Admission) throws(Problem) {
        try admission.begin(share, of: client)
        self.admission = admission
        self.client = client
        state = Mutex(State(share: share))
    }

    /// Exchanges the request's share.
    ///
    /// - Returns: what is to be given to ``moveBack(to:)``; nil when the client has gone, who need not be waited for.
    /// - Throws: when there is no room for another.
    func move(to work: HTTPWork) throws(Problem) -> Share? {
        let (old, isAbandoned) = state.withLock { ($0.share, $0.isAbandoned) }
        if isAbandoned && work == .wait { return nil }
        try admission.move(from: old, to: work.share, of: client)
        let isStillWanted = state.withLock { state in
            state.share = work.share
            return !(state.isAbandoned && work == .wait)
        }
        if !isStillWanted { moveBack(to: old) }
        return isStillWanted ? old : nil
    }

    func moveBack(to share: Share) {
        let old = state.withLock { state in
            defer { state.share = share }
            return state.share
        }
        admission.moveBack(from: old, to: share, of: client)
    }

    /// The client has ended its side of the connection: it may still want its answer, but not wait for it.
    ///
    /// - Returns: whether the request is waiting.
    func abandon() -> Bool {
        state.withLock { state in
            state.isAbandoned = true
            return state.share == .wait
        }
    }

    var isAbandoned: Bool { state.withLock { $0.isAbandoned } }

    /// The request has been answered, or never will be.
    func end() {
        admission.end(state.withLock { $0.share }, of: client)
    }
}
