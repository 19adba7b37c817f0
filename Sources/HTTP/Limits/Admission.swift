internal import Glibc
internal import Synchronization

/// What a client can hold of a server. Each has a limit of its own, in all and for one client.
enum Share: Int, CaseIterable, Sendable {
    case connection
    /// A connection beyond the limit, for as long as its client is told so.
    case refusal
    /// A request that is being answered and is none of the following.
    case request
    case stream
    /// A request that waits for something to happen.
    case wait
    /// A request that may take long to answer.
    case search
}

/// Counts who holds how much: a pure value.
struct AdmissionState {
    enum Refusal: Sendable, CaseIterable {
        /// This client has its share.
        case client
        /// The server has all it can take.
        case server
    }

    /// How much of each share there is, in all and for one client.
    struct Limits: Sendable {
        private var values = [(total: Int, perClient: Int)](repeating: (.max, .max), count: Share.allCases.count)

        subscript(share: Share) -> (total: Int, perClient: Int) {
            get { values[share.rawValue] }
            set { values[share.rawValue] = newValue }
        }
    }

    private let limits: Limits
    private var all = Counts()
    /// Of the clients that have something at the moment.
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

    init(_ limits: Limits) {
        self.limits = limits
    }

    /// - Returns: nil when it may begin; then ``end(_:of:)`` must follow.
    mutating func begin(_ share: Share, of client: ClientIdentity) -> Refusal? {
        let (total, perClient) = limits[share]
        guard all[share] < total else { return .server }
        var counts = clients[client, default: Counts()]
        guard counts[share] < perClient else { return .client }
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
    /// - Returns: nil when the other one is held now instead.
    mutating func move(from old: Share, to new: Share, of client: ClientIdentity) -> Refusal? {
        if let refusal = begin(new, of: client) { return refusal }
        end(old, of: client)
        return nil
    }

    /// Goes back to a share that was exchanged. It is not refused: what was begun is brought to its end.
    mutating func moveBack(from old: Share, to new: Share, of client: ClientIdentity) {
        end(old, of: client)
        all[new] += 1
        clients[client, default: Counts()][new] += 1
    }

    func held(_ share: Share) -> Int { Int(all[share]) }
    /// How many clients have something.
    var clientCount: Int { clients.count }
}

/// Counts what is held of a server, and refuses what is beyond the limits, as a ``Problem``.
final class Admission: Sendable {
    private let state: Mutex<AdmissionState>
    private let retryAfterSeconds: Int
    private let metrics: HTTPMetrics

    /// Connections that are told of their limit: of one client, and in all. Beyond it they are closed without a word.
    private static let refusalLimits = (total: 256, perClient: 16)

    init(_ configuration: HTTPServerConfiguration, _ metrics: HTTPMetrics) {
        var limits = AdmissionState.Limits()
        // What is beyond all connections waits in the kernel's queue.
        limits[.connection] = (.max, configuration.maxConnectionsPerClient)
        limits[.refusal] = Self.refusalLimits
        limits[.request] = (configuration.maxConcurrentRequests, configuration.maxConcurrentRequestsPerClient)
        limits[.stream] = (configuration.maxStreams, configuration.maxStreamsPerClient)
        limits[.wait] = (configuration.maxWaits, configuration.maxWaitsPerClient)
        limits[.search] = (configuration.maxSearches, configuration.maxSearchesPerClient)
        state = Mutex(AdmissionState(limits))
        retryAfterSeconds = configuration.retryAfterSeconds
        self.metrics = metrics
    }

    /// - Throws: when it may not begin. Otherwise ``end(_:of:)`` must follow.
    func begin(_ share: Share, of client: ClientIdentity) throws(Problem) {
        if let refusal = state.withLock({ $0.begin(share, of: client) }) { throw problem(share, refusal) }
        metrics.began(share)
    }

    func end(_ share: Share, of client: ClientIdentity) {
        state.withLock { $0.end(share, of: client) }
        metrics.ended(share)
    }

    /// - Throws: when the other share has no room; then the old one is still held.
    func move(from old: Share, to new: Share, of client: ClientIdentity) throws(Problem) {
        if let refusal = state.withLock({ $0.move(from: old, to: new, of: client) }) { throw problem(new, refusal) }
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
        switch address.flatMap({ IPAddress($0) }) {
        case nil: return
        case .v4(let number)?: (kind, value) = (.v4, UInt64(number))
        // A host has a network of its own to take addresses from (RFC 6177), so the first 64 bits count.
        case .v6(let network, _)?: (kind, value) = (.v6, network)
        }
    }
}

/// An address of either family. An IPv4 address that is written as an IPv6 one is the IPv4 address.
enum IPAddress: Hashable, Sendable {
    case v4(UInt32)
    case v6(network: UInt64, interface: UInt64)

    /// - Returns: nil when the text is no address.
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

    /// Whether only this machine has it.
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
