internal import Synchronization

/// The kinds of long work for a request. Each has separate limits (``HTTPServerConfiguration``), so that such requests
/// leave capacity for others.
public enum HTTPWork: Sendable {
    /// Waits for an event, and uses only memory meanwhile.
    case wait
    /// Searches, which may take long.
    case search

    var share: Share { self == .wait ? .wait : .search }
}

/// The share of the server that a request holds from its admission to its end.
final class RequestSlot: Sendable {
    private struct State {
        var share: Share
        /// Whether the client has closed its side of the connection.
        var isAbandoned = false
    }

    private let admission: Admission
    private let client: ClientIdentity
    private let state: Mutex<State>

    /// - Throws: if the limit is reached.
    init(_ share: Share, of client: ClientIdentity, in admission: Admission) throws(Problem) {
        try admission.begin(share, of: client)
        self.admission = admission
        self.client = client
        state = Mutex(State(share: share))
    }

    /// Exchanges the request's share.
    ///
    /// - Returns: the previous share, for ``moveBack(to:)``; nil if the client has disconnected, so the request need
    ///   not wait.
    /// - Throws: if the limit is reached.
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

    /// Notes that the client has closed its side of the connection. It may still read an answer, but does not wait for
    /// an event.
    ///
    /// - Returns: whether the request is waiting.
    func abandon() -> Bool {
        state.withLock { state in
            state.isAbandoned = true
            return state.share == .wait
        }
    }

    var isAbandoned: Bool { state.withLock { $0.isAbandoned } }

    /// Notes the end of the request, with or without an answer.
    func end() {
        admission.end(state.withLock { $0.share }, of: client)
    }
}
