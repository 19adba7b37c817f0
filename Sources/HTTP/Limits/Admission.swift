internal import Glibc
internal import StreamCore
internal import Synchronization

/// The kinds of resources that a client can hold. Each has its own limits, in total and for one client.
enum Share: Int, CaseIterable, Sendable {
    case connection
    /// A connection beyond the limit, while the reason is sent to its client.
    case refusal
    /// A request in progress that is none of the following.
    case request
    case stream
    /// A request that waits for an event.
    case wait
    /// A request that may take long to answer.
    case search
}

/// Counts the resources of each client. This is a pure value.
struct AdmissionState {
    enum Refusal: Sendable, CaseIterable {
        /// The client has reached its limit.
        case client
        /// The server has reached its limit.
        case server
    }

    /// The limits of a share, in total and for one client.
    typealias Limit = (total: Int, perClient: Int)

    private var all = Counts()
    /// The clients that hold anything now.
    private var clients: [ClientIdentity: Counts] = [:]

    private struct Counts: Equatable {
        private var values: InlineArray<6, Int32> = .init(repeating: 0)

        subscript(share: Share) -> Int32 {
            get { values[share.rawValue] }
            set { values[share.rawValue] = newValue }
        }

        static func == (left: Counts, right: Counts) -> Bool {
            left.values.indices.allSatisfy { left.values[$0] == right.values[$0] }
        }
    }

    /// - Returns: nil if it is admitted. ``end(_:of:)`` must follow then.
    mutating func begin(_ share: Share, of client: ClientIdentity, within limit: Limit) -> Refusal? {
        guard all[share] < limit.total else { return .server }
        var counts = clients[client, default: Counts()]
        guard counts[share] < limit.perClient else { return .client }
        counts[share] += 1
        clients[client] = counts
        all[share] += 1
        return nil
    }

    mutating func end(_ share: Share, of client: ClientIdentity) {
        all[share] -= 1
        guard var counts = clients[client] else { return }
        counts[share] -= 1
        clients[client] = counts == Counts() ? nil : counts
    }

    /// Exchanges one share for another.
    ///
    /// - Returns: nil if the new share is held now instead of the old one.
    mutating func move(
        from old: Share, to new: Share, of client: ClientIdentity, within limit: Limit
    ) -> Refusal? {
        if let refusal = begin(new, of: client, within: limit) { return refusal }
        end(old, of: client)
        return nil
    }

    /// Returns to the previous share. This is never refused, because a request that was begun must be able to end.
    mutating func moveBack(from old: Share, to new: Share, of client: ClientIdentity) {
        end(old, of: client)
        all[new] += 1
        clients[client, default: Counts()][new] += 1
    }

    func held(_ share: Share) -> Int { Int(all[share]) }
    /// The number of clients that hold anything.
    var clientCount: Int { clients.count }
}

/// Counts the resources of a server, and refuses requests beyond the limits with a ``Problem``.
final class Admission: Sendable {
    private let state = Mutex(AdmissionState())
    private let limits: Live<HTTPLimits>
    /// Maximum number of waiting requests.
    private let maxWaits: Int
    private let retryAfterSeconds: Int
    private let metrics: HTTPMetrics

    /// Maximum number of connections to which a refusal is sent, in total and for one client. Others are closed without
    /// an answer.
    private static let refusalLimits = (total: 256, perClient: 16)

    init(_ configuration: HTTPServerConfiguration, _ limits: Live<HTTPLimits>, _ metrics: HTTPMetrics) {
        self.limits = limits
        maxWaits = configuration.maxWaits
        retryAfterSeconds = configuration.retryAfterSeconds
        self.metrics = metrics
    }

    private func limit(of share: Share) -> AdmissionState.Limit {
        let limits = limits.now
        return switch share {
        // Connections beyond the total limit wait in the kernel's queue.
        case .connection: (.max, limits.maxConnectionsPerClient)
        case .refusal: Self.refusalLimits
        case .request: (limits.maxConcurrentRequests, limits.maxConcurrentRequestsPerClient)
        case .stream: (limits.maxStreams, limits.maxStreamsPerClient)
        case .wait: (maxWaits, limits.maxWaitsPerClient)
        case .search: (limits.maxSearches, limits.maxSearchesPerClient)
        }
    }

    /// - Throws: if it is not admitted. Otherwise ``end(_:of:)`` must follow.
    func begin(_ share: Share, of client: ClientIdentity) throws(Problem) {
        let limit = limit(of: share)
        if let refusal = state.withLock({ $0.begin(share, of: client, within: limit) }) {
            throw problem(share, refusal)
        }
        metrics.began(share)
    }

    func end(_ share: Share, of client: ClientIdentity) {
        state.withLock { $0.end(share, of: client) }
        metrics.ended(share)
    }

    /// - Throws: if the limit of the new share is reached. The old share is still held then.
    func move(from old: Share, to new: Share, of client: ClientIdentity) throws(Problem) {
        let limit = limit(of: new)
        if let refusal = state.withLock({ $0.move(from: old, to: new, of: client, within: limit) }) {
            throw problem(new, refusal)
        }
        metrics.ended(old)
        metrics.began(new)
    }

    func moveBack(from old: Share, to new: Share, of client: ClientIdentity) {
        state.withLock { $0.moveBack(from: old, to: new, of: client) }
        metrics.ended(old)
        metrics.began(new)
    }

    private func problem(_ share: Share, _ refusal: AdmissionState.Refusal) -> Problem {
        metrics.refused(share, refusal)
        let things =
            switch share {
            case .connection, .refusal: "connections"
            case .request: "requests"
            case .stream: "streams"
            case .wait: "waiting requests"
            case .search: "searches"
            }
        switch refusal {
        case .client:
            return .refused(429, "this client has too many \(things) at once", retryAfter: retryAfterSeconds)
        case .server:
            return .refused(503, "the server has too many \(things) at once", retryAfter: retryAfterSeconds)
        }
    }
}

/// Identifies a client: by its token, or by its address.
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
        switch address.flatMap({ IPAddress($0) }) {
        case nil: return
        case .v4(let number)?: (kind, value) = (.v4, UInt64(number))
        // A host can take any address of its own network (RFC 6177), so only the first 64 bits count.
        case .v6(let network, _)?: (kind, value) = (.v6, network)
        }
    }
}

/// An IPv4 or IPv6 address. An IPv4-mapped IPv6 address counts as the IPv4 address.
enum IPAddress: Hashable, Sendable {
    case v4(UInt32)
    case v6(network: UInt64, interface: UInt64)

    /// - Returns: nil if the text is not an address.
    init?(_ text: String) {
        var bytes = [UInt8](repeating: 0, count: 16)
        // SAFETY: `inet_pton` writes 4 bytes for the one family and 16 for the other.
        if unsafe inet_pton(AF_INET, text, &bytes) == 1 {
            self = .v4(UInt32(Self.number(bytes[..<4])))
        } else if unsafe inet_pton(AF_INET6, text, &bytes) == 1 {
            let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xff && bytes[11] == 0xff
            self =
                isMapped
                ? .v4(UInt32(Self.number(bytes[12...])))
                : .v6(network: Self.number(bytes[..<8]), interface: Self.number(bytes[8...]))
        } else {
            return nil
        }
    }

    /// Whether it is a loopback address.
    var isLoopback: Bool {
        switch self {
        case .v4(let number): number >> 24 == 127
        case .v6(let network, let interface): network == 0 && interface == 1
        }
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
