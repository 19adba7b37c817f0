/// How an ``HTTPServer`` listens, whom it lets in, and its limits: everything that a client can make it hold has one.
public struct HTTPServerConfiguration: Sendable {
    /// A rule across the settings that does not hold.
    public struct Invalid: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    /// What the server is called in metrics.
    public var name = "http"
    public var host = "127.0.0.1"
    /// 0 for any free one.
    public var port = 8080
    /// Threads that read, answer and write. Handlers run on them, too.
    public var threads = 1
    /// The certificate to encrypt with; nil for plain HTTP.
    public var tls: TLSIdentity?
    /// Whether HTTP/2 is offered to clients of TLS, which choose (ALPN).
    public var http2 = false
    /// Called with a thread's number at each ``turnInterval`` while the thread moves: neither blocked by a handler, nor
    /// left with one that goes on for another `requestTimeoutMs` after it was cancelled.
    public var onTurn: (@Sendable (_ thread: Int) -> Void)?

    /// Called at each ``turnInterval`` after the files of tokens were looked at.
    public var onTokensRead: (@Sendable () -> Void)?

    /// Whether each request has a span, if the process has a tracer.
    public var isTraced = false

    /// The time between two calls of ``onTurn``.
    public static let turnInterval = Duration.seconds(1)

    // MARK: who may ask

    /// The bearer tokens, one of which every request must bring, except those of public routes; nil for no such need.
    public var tokens: TokenSource?
    /// Listen beyond the loopback interface even without tokens: something in front of the server lets in.
    public var allowUnauthenticated = false

    /// Whether requests must name this server in `Host`, where no token protects it: a page of another site could
    /// otherwise ask it through a name of its own (DNS rebinding). The names are those of the loopback interface,
    /// `host`, the address that a request came to, and ``allowedHosts``.
    public var checksHosts = true
    /// More names that the server answers to, without ports; one with a leading dot allows all names below it.
    public var allowedHosts: [String] = []
    /// Origins of other sites whose pages may send requests and read the answers, as browsers name them:
    /// `https://shop.example`. No browser sends cookies with such a request, so a page needs a token of its own.
    public var allowedOrigins: [String] = []

    // MARK: limits

    /// Connections open at once; more wait in the kernel's queue. Lowered to what the process may open.
    public var maxConnections = 12_000
    /// The same for one address (429), or one IPv6 network of 64 bits.
    public var maxConnectionsPerClient = 4_000
    /// Requests being answered at once, without streams and those that wait or search; more are told to come again
    /// (503).
    public var maxConcurrentRequests = 1_024
    /// The same for one client, which is a token or, without one, an address (429).
    public var maxConcurrentRequestsPerClient = 512
    /// Streams at once (503).
    public var maxStreams = 4_000
    /// The same for one client (429).
    public var maxStreamsPerClient = 2_000
    /// Requests that wait for something at once (503).
    public var maxWaits = 5_000
    /// The same for one client (429).
    public var maxWaitsPerClient = 2_000
    /// Requests that may take long to answer, at once (503).
    public var maxSearches = 256
    /// The same for one client (429).
    public var maxSearchesPerClient = 64
    /// A request's header fields all together, in bytes (431).
    public var maxHeaderBytes = 16 * 1_024
    /// A request's target, that is path and query, in bytes (414).
    public var maxTargetBytes = 8 * 1_024
    /// A request's body, in bytes (413).
    public var maxBodyBytes = 64 * 1_024

    // MARK: times, in milliseconds

    /// From a request's first byte to its last (408).
    public var receiveTimeoutMs = 10_000
    /// From there to the handler's answer, whose task is cancelled then (503). Streams have none.
    public var requestTimeoutMs = 30_000
    /// How long a connection may be without a request; then it is closed.
    public var idleTimeoutMs = 75_000
    /// How long a client may take nothing of a response; then the connection is closed.
    public var writeTimeoutMs = 20_000
    /// How long a stop waits for requests and streams to end; what is left then is closed.
    public var drainTimeoutMs = 10_000

    // MARK: headers

    /// Headers of every response, errors included, called for each; a response's own of the same name wins.
    public var commonHeaders: (@Sendable () -> [(name: String, value: String)])?
    /// What a browser may do with a page of this server.
    public var contentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    /// What `Retry-After` says where the server itself refuses a request.
    public var retryAfterSeconds = 1

    public init() {}

    /// Lets the server's pages send requests to another origin, too.
    public mutating func allowConnections(to origin: String) {
        contentSecurityPolicy.replace("connect-src 'self'", with: "connect-src 'self' \(origin)")
    }

    /// - Throws: ``Invalid``, naming the first rule that does not hold.
    public func validate() throws(Invalid) {
        if tokens == nil, !allowUnauthenticated, !isLoopback {
            throw Invalid(
                description: """
                    '\(host)' can be reached from other machines, and there are no tokens: name token files, listen \
                    on 127.0.0.1, or allow unauthenticated access
                    """)
        }
        guard (0...65_535).contains(port) else { throw Invalid(description: "there is no port \(port)") }
        let atLeastOne = [
            ("threads", threads), ("maxConnections", maxConnections), ("maxConcurrentRequests", maxConcurrentRequests),
            ("maxConcurrentRequestsPerClient", maxConcurrentRequestsPerClient), ("maxStreams", maxStreams),
            ("maxStreamsPerClient", maxStreamsPerClient), ("maxConnectionsPerClient", maxConnectionsPerClient),
            ("maxWaits", maxWaits), ("maxWaitsPerClient", maxWaitsPerClient), ("maxSearches", maxSearches),
            ("maxSearchesPerClient", maxSearchesPerClient), ("maxHeaderBytes", maxHeaderBytes),
            ("maxTargetBytes", maxTargetBytes), ("receiveTimeoutMs", receiveTimeoutMs),
            ("requestTimeoutMs", requestTimeoutMs), ("idleTimeoutMs", idleTimeoutMs),
            ("writeTimeoutMs", writeTimeoutMs), ("drainTimeoutMs", drainTimeoutMs),
        ]
        for (name, value) in atLeastOne where value < 1 {
            throw Invalid(description: "\(name) must be at least 1, not \(value)")
        }
        if let host = allowedHosts.first(where: { !HostPolicy.isHost($0) }) {
            throw Invalid(description: "'\(host)' is no host: give a name or an address, without scheme and port")
        }
        if let origin = allowedOrigins.first(where: { !CrossOriginPolicy.isOrigin($0) }) {
            throw Invalid(
                description: "'\(origin)' is no origin: give scheme, host and port in small letters, without a path")
        }
        guard !http2 || tls != nil else { throw Invalid(description: "http2 needs tls: clients choose it within TLS") }
        guard maxBodyBytes >= 0 else { throw Invalid(description: "maxBodyBytes must not be negative") }
    }

    /// Whether a text can be one of ``allowedHosts``.
    public static func isHost(_ text: String) -> Bool { HostPolicy.isHost(text) }

    /// Whether a text can be one of ``allowedOrigins``.
    public static func isOrigin(_ text: String) -> Bool { CrossOriginPolicy.isOrigin(text) }

    /// Whether only this machine can reach the host: `localhost` or an address that says so itself. What any other
    /// name stands for may change.
    public var isLoopback: Bool { host == "localhost" || IPAddress(host)?.isLoopback == true }
}
