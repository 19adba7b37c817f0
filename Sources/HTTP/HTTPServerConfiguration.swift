public import StreamCore

/// The settings of an ``HTTPServer``: its address, its access rules and its limits. Everything that a client can make
/// the server hold has a limit.
public struct HTTPServerConfiguration: Sendable {
    /// A violated rule of the configuration.
    public struct Invalid: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    /// The server's name in metrics.
    public var name = "http"
    public var host = "127.0.0.1"
    /// The TCP port; 0 for any free port.
    public var port = 8080
    /// Number of threads. They read, write and run the handlers.
    public var threads = 1
    /// The certificate for TLS; nil for plain HTTP.
    public var tls: TLSIdentity?
    /// Whether the server offers HTTP/2 to TLS clients (ALPN).
    public var http2 = false
    /// Called with the number of a thread at each ``turnInterval`` while the thread works. It is not called while a
    /// handler blocks the thread, or while a handler of the thread continues for more than `requestTimeoutMs` after it
    /// was cancelled.
    public var onTurn: (@Sendable (_ thread: Int) -> Void)?

    /// Called at each ``turnInterval`` after the token files were read.
    public var onTokensRead: (@Sendable () -> Void)?

    /// Whether each request has a span. It requires a tracer.
    public var isTraced = false

    /// The time between two calls of ``onTurn``.
    public static let turnInterval = Duration.seconds(1)

    // MARK: access

    /// The accepted bearer tokens; nil if no token is required. Every request must have one, except for public routes.
    public var tokens: TokenSource?
    /// Whether the server may listen beyond the loopback interface without tokens. Use it if a proxy in front of the
    /// server controls the access.
    public var allowUnauthenticated = false

    /// Whether requests without a token must name this server in `Host`. Otherwise a page of another site could send
    /// requests to the server through its own host name (DNS rebinding). The accepted names are those of the loopback
    /// interface, `host`, the address at which the request arrived, and ``allowedHosts``.
    public var checksHosts = true
    /// Additional host names of this server, without ports. A name with a leading dot allows all names below it.
    public var allowedHosts: [String] = []
    /// Origins of other sites whose pages may send requests and read the answers, in the form that browsers send:
    /// `https://shop.example`. Browsers send no cookies with such a request, so a page needs its own token.
    public var allowedOrigins: [String] = []

    // MARK: limits

    /// Maximum number of open connections. Others wait in the kernel's queue. It is reduced if the process may not open
    /// that many files.
    public var maxConnections = 12_000
    /// The same for one address, or one IPv6 network of 64 bits (429).
    public var maxConnectionsPerClient = 4_000
    /// Maximum number of requests in progress, without streams, waits and searches (503).
    public var maxConcurrentRequests = 1_024
    /// The same for one client: a token, or an address without a token (429).
    public var maxConcurrentRequestsPerClient = 512
    /// Maximum number of streams (503).
    public var maxStreams = 4_000
    /// The same for one client (429).
    public var maxStreamsPerClient = 2_000
    /// Maximum number of requests that wait for an event (503).
    public var maxWaits = 5_000
    /// The same for one client (429).
    public var maxWaitsPerClient = 2_000
    /// Maximum number of requests that may take long to answer (503).
    public var maxSearches = 256
    /// The same for one client (429).
    public var maxSearchesPerClient = 64
    /// Maximum size of all header fields of a request, in bytes (431).
    public var maxHeaderBytes = 16 * 1_024
    /// Maximum size of a request's target (path and query), in bytes (414).
    public var maxTargetBytes = 8 * 1_024
    /// Maximum size of a request's body, in bytes (413).
    public var maxBodyBytes = 64 * 1_024

    /// Replaces the limits of the same names while the server runs; nil if they do not change.
    public var liveLimits: Live<HTTPLimits>?

    // MARK: times, in milliseconds

    /// Maximum time from the first to the last byte of a request (408).
    public var receiveTimeoutMs = 10_000
    /// Maximum time from the last byte of a request to the handler's answer. Then the handler is cancelled (503).
    /// Streams have no such limit.
    public var requestTimeoutMs = 30_000
    /// Time without a request after which a connection is closed.
    public var idleTimeoutMs = 75_000
    /// Time without progress in writing a response after which the connection is closed.
    public var writeTimeoutMs = 20_000
    /// Maximum time that a stop waits for requests and streams. Then their connections are closed.
    public var drainTimeoutMs = 10_000

    // MARK: headers

    /// Returns headers for every response, errors included. It is called for each response. A response's own header of
    /// the same name has priority.
    public var commonHeaders: (@Sendable () -> [(name: String, value: String)])?
    /// The content security policy for pages of this server.
    public var contentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    /// The value of `Retry-After` if the server itself refuses a request, in seconds.
    public var retryAfterSeconds = 1

    public init() {}

    /// Allows the server's pages to send requests to another origin.
    public mutating func allowConnections(to origin: String) {
        contentSecurityPolicy.replace("connect-src 'self'", with: "connect-src 'self' \(origin)")
    }

    /// - Throws: ``Invalid`` with the first violated rule.
    public func validate() throws(Invalid) {
        if tokens == nil, !allowUnauthenticated, !isLoopback {
            throw Invalid(
                description: """
                    '\(host)' can be reached from other machines, and there are no tokens: name token files, listen \
                    on 127.0.0.1, or allow unauthenticated access
                    """)
        }
        guard (0...65_535).contains(port) else { throw Invalid(description: "port \(port) is not between 0 and 65535") }
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
            throw Invalid(description: "'\(host)' is not a host: use a name or an address, without scheme and port")
        }
        if let origin = allowedOrigins.first(where: { !CrossOriginPolicy.isOrigin($0) }) {
            throw Invalid(
                description: "'\(origin)' is not an origin: use scheme, host and port in lower case, and no path")
        }
        guard !http2 || tls != nil else {
            throw Invalid(description: "http2 requires tls, because clients choose HTTP/2 within TLS")
        }
        guard maxBodyBytes >= 0 else { throw Invalid(description: "maxBodyBytes must not be negative") }
    }

    /// Whether a text can be one of ``allowedHosts``.
    public static func isHost(_ text: String) -> Bool { HostPolicy.isHost(text) }

    /// Whether a text can be one of ``allowedOrigins``.
    public static func isOrigin(_ text: String) -> Bool { CrossOriginPolicy.isOrigin(text) }

    /// Whether only this machine can reach the host: `localhost`, or a loopback address. Other names are not resolved,
    /// because their addresses may change.
    public var isLoopback: Bool { host == "localhost" || IPAddress(host)?.isLoopback == true }
}
