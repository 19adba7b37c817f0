internal import Glibc
internal import Synchronization

/// Counts what is being answered, in all and for each client, and refuses what is beyond the limits.
final class Admission: Sendable {
    enum Kind: Sendable {
        case request
        case stream
    }

    enum Refusal: Sendable {
        /// This client has its share.
        case client
        /// The server has all it can take.
        case server
    }

    private struct Counts {
        var requests = 0
        var streams = 0

        subscript(kind: Kind) -> Int {
            get { kind == .request ? requests : streams }
            set { if kind == .request { requests = newValue } else { streams = newValue } }
        }
    }

    private struct State {
        var all = Counts()
        /// Of the clients that have something at the moment.
        var clients: [ClientIdentity: Counts] = [:]
    }

    private let state = Mutex(State())
    private let limits: Counts
    private let clientLimits: Counts

    init(_ configuration: HTTPServerConfiguration) {
        limits = Counts(requests: configuration.maxConcurrentRequests, streams: configuration.maxStreams)
        clientLimits = Counts(
            requests: configuration.maxConcurrentRequestsPerClient, streams: configuration.maxStreamsPerClient)
    }

    /// - Returns: nil when it may begin; then ``end(_:of:)`` must follow.
    func begin(_ kind: Kind, of client: ClientIdentity) -> Refusal? {
        state.withLock { state in
            guard state.all[kind] < limits[kind] else { return .server }
            guard state.clients[client, default: Counts()][kind] < clientLimits[kind] else { return .client }
            state.all[kind] += 1
            state.clients[client, default: Counts()][kind] += 1
            return nil
        }
    }

    func end(_ kind: Kind, of client: ClientIdentity) {
        state.withLock { state in
            state.all[kind] -= 1
            guard var counts = state.clients[client] else { return }
            counts[kind] -= 1
            state.clients[client] = counts.requests == 0 && counts.streams == 0 ? nil : counts
        }
    }

    var streams: Int { state.withLock { $0.all.streams } }
}

/// Whom a client is taken for: its token, or the address it comes from.
struct ClientIdentity: Hashable, Sendable {
    private enum Kind: UInt8 {
        case unknown, token, v4, v6
    }

    private var kind = Kind.unknown
    private var value: UInt64 = 0

    init(token: TokenDigest) {
        kind = .token
        value = token.words[0]
    }

    /// - Parameter address: an IP address as text.
    init(address: String?) {
        guard let address else { return }
        var bytes = [UInt8](repeating: 0, count: 16)
        // SAFETY: `inet_pton` writes 4 bytes for the one family and 16 for the other.
        if unsafe inet_pton(AF_INET, address, &bytes) == 1 {
            (kind, value) = (.v4, Self.number(bytes[..<4]))
        } else if unsafe inet_pton(AF_INET6, address, &bytes) == 1 {
            let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xff && bytes[11] == 0xff
            // A host has a network of its own to take addresses from (RFC 6177), so the first 64 bits count.
            (kind, value) = isMapped ? (.v4, Self.number(bytes[12...])) : (.v6, Self.number(bytes[..<8]))
        }
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
