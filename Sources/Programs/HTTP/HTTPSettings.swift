public import HTTP
public import Settings
internal import StreamCore

/// `[http]`: the address of a daemon's HTTP server, its access rules and its limits.
public struct HTTPSettings: Sendable {
    /// The kind of requests.
    public enum Purpose: String, Sendable {
        /// Reads, which may wait, search, or continue as streams.
        case queries
        /// Changes. Each has a body.
        case commands
    }

    public var configuration: HTTPServerConfiguration

    private static let documentation = """
        The HTTP server, and the limits for its clients. SIGHUP applies changed limits and timeouts without a \
        restart, except for max_connections, max_header_bytes, max_target_bytes and idle_timeout_ms.
        """

    /// - Parameter port: the default port.
    public init(from reader: SettingsReader, for purpose: Purpose, port: Int) {
        let section = reader.section("http", Self.documentation)
        var http = HTTPServerConfiguration()
        let defaults = http
        http.name = purpose.rawValue
        http.host = section.string(
            "host", default: defaults.host,
            "The address to listen on. An address that other machines can reach requires token_files.")
        http.port = section.integer(
            "port", default: port, in: 0...65_535,
            "The port to listen on. 0 selects any free port.")
        http.threads = section.integer(
            "threads", default: defaults.threads, in: 1...64,
            "Number of threads that read requests and write answers.")
        Self.readTLS(section, &http)
        let tokenFiles = section.secretFiles(
            "token_files",
            """
            Files with bearer tokens, one a line. A request for data needs one of the tokens. The service reads a \
            file again when it changes; the tokens of a removed file become invalid. Without files no request needs a \
            token. A relative path is resolved like the path of a secret.\(Self.tenants(purpose))
            """)
        http.allowUnauthenticated = section.boolean(
            "allow_unauthenticated", default: defaults.allowUnauthenticated,
            """
            Allows an address that other machines can reach without token_files. Set it only if a proxy in front of \
            this service authenticates clients.
            """)
        http.allowedHosts = section.strings(
            "allowed_hosts", default: [],
            """
            Further host names that the header Host may have, without ports; a leading dot allows all names below it. \
            Without token_files the service answers other names with 421, which protects it against DNS rebinding. \
            The names of the loopback interface, host, and the address that received the request are always allowed.
            """)
        http.allowedOrigins = section.strings(
            "allowed_origins", default: [],
            """
            Origins of other sites whose pages may use this service from a browser (CORS), for example \
            "https://shop.example". The pages send tokens, not cookies. No origin is needed behind a gateway that \
            serves the page and this service under one name.
            """)
        Self.readLimits(section, &http)
        switch purpose {
        case .queries: Self.readLimitsOfQueries(section, &http)
        case .commands: Self.readLimitsOfCommands(section, &http)
        }
        do {
            if !tokenFiles.isEmpty {
                http.tokens = try TokenSource(files: tokenFiles, takesTenants: purpose == .commands)
            }
            if let wrong = http.allowedHosts.first(where: { !HTTPServerConfiguration.isHost($0) }) {
                section.reject("allowed_hosts", "\"\(wrong)\" is not a host: use names or addresses without ports")
                http.allowedHosts = []
            }
            if let wrong = http.allowedOrigins.first(where: { !HTTPServerConfiguration.isOrigin($0) }) {
                section.reject(
                    "allowed_origins",
                    "\"\(wrong)\" is not an origin: use scheme, host and port in lower case, and no path")
                http.allowedOrigins = []
            }
            // If a token file cannot be read, only that problem is reported.
            try http.validate()
        } catch let error as TokenSource.FileError {
            section.reject("token_files", error.description)
        } catch {
            section.reject("host", "\(error)")
        }
        http.liveLimits = Live(HTTPLimits(http))
        configuration = http
    }

    /// See `FeatureSettings`. A purpose without a setting ignores its key.
    public static let reloadableKeys = [
        "max_connections_per_client", "max_requests", "max_requests_per_client", "max_streams",
        "max_streams_per_client", "max_waits_per_client", "max_searches", "max_searches_per_client", "max_body_bytes",
        "receive_timeout_ms", "request_timeout_ms", "write_timeout_ms", "drain_timeout_ms",
    ].map { "http." + $0 }

    /// See `FeatureSettings`.
    public func adopt(_ reloaded: Self) {
        configuration.liveLimits?.set(HTTPLimits(reloaded.configuration))
    }

    /// Reads the certificate and its key. Both files are required, or none.
    private static func readTLS(_ section: SectionReader, _ http: inout HTTPServerConfiguration) {
        let certificate = section.file(
            "certificate_file", isSecret: false,
            """
            File with the server's certificate in PEM, followed by the intermediate certificates. Set it to serve HTTPS \
            (TLS 1.2 and 1.3); empty serves plain HTTP. The service reads it at the start. A relative path is resolved \
            like the path of a secret.
            """)
        let key = section.file(
            "key_file", isSecret: true,
            "File with the private key of the certificate, in PEM and not encrypted. certificate_file requires it.")
        http.http2 = section.boolean(
            "http2", default: http.http2,
            """
            Offers HTTP/2 beside HTTP/1.1 to clients that connect with TLS. Set it if browsers open many live pages: \
            over HTTP/1.1 each page takes one connection, and browsers open at most six to a host.
            """)
        switch (certificate.isEmpty, key.isEmpty) {
        case (true, true):
            if http.http2 {
                section.reject(
                    "http2", "requires certificate_file and key_file, because clients choose HTTP/2 within TLS")
            }
        case (false, true): section.reject("certificate_file", "requires key_file, its private key")
        case (true, false): section.reject("key_file", "requires certificate_file, the certificate that it belongs to")
        case (false, false):
            do throws(TLSIdentity.FileError) {
                http.tls = try TLSIdentity(certificateFile: certificate, keyFile: key)
            } catch {
                section.reject("certificate_file", error.description)
            }
        }
    }

    private static func tenants(_ purpose: Purpose) -> String {
        purpose == .commands
            ? " A token may be followed by tenant=NAME: what the token's owner creates belongs to that tenant, and the "
                + "owner sees and changes nothing else." : ""
    }

    /// Reads the limits for queries.
    private static func readLimitsOfQueries(_ section: SectionReader, _ http: inout HTTPServerConfiguration) {
        http.maxStreams = section.integer(
            "max_streams", default: http.maxStreams, in: 1...1_000_000,
            "Maximum number of open streams. Further streams are answered with 503.")
        http.maxStreamsPerClient = section.integer(
            "max_streams_per_client", default: http.maxStreamsPerClient, in: 1...1_000_000,
            "The same for one client. Further streams are answered with 429.")
        http.maxWaitsPerClient = section.integer(
            "max_waits_per_client", default: http.maxWaitsPerClient, in: 1...1_000_000,
            """
            Maximum number of requests of one client that wait for min_version. Further requests are answered with \
            429.
            """)
        http.maxSearches = section.integer(
            "max_searches", default: http.maxSearches, in: 1...1_000_000,
            "Maximum number of searches for orders, running or waiting. Further searches are answered with 503.")
        http.maxSearchesPerClient = section.integer(
            "max_searches_per_client", default: http.maxSearchesPerClient, in: 1...1_000_000,
            "The same for one client. Further searches are answered with 429.")
        http.requestTimeoutMs = section.integer(
            "request_timeout_ms", default: 35_000, in: 10...600_000,
            """
            Maximum time from the last byte of a request to the answer. Set it longer than read_timeout_ms and \
            max_wait_s of [queries].
            """)
    }

    private static func readLimitsOfCommands(_ section: SectionReader, _ http: inout HTTPServerConfiguration) {
        http.requestTimeoutMs = section.integer(
            "request_timeout_ms", default: http.requestTimeoutMs, in: 10...600_000,
            """
            Maximum time from the last byte of a request to the answer. Set it longer than timeout_ms of [commands].
            """)
        http.maxBodyBytes = section.integer(
            "max_body_bytes", default: http.maxBodyBytes, in: 1_024...(64 << 20),
            "Maximum size of a request's body.")
    }

    private static func readLimits(_ section: SectionReader, _ http: inout HTTPServerConfiguration) {
        http.maxConnections = section.integer(
            "max_connections", default: http.maxConnections, in: 1...1_000_000,
            "Maximum number of open connections. Further connections wait.")
        http.maxConnectionsPerClient = section.integer(
            "max_connections_per_client", default: http.maxConnectionsPerClient, in: 1...1_000_000,
            """
            Maximum number of open connections of one address, or of one IPv6 network of 64 bits. Further connections \
            are answered with 429. Behind a proxy all clients have the address of the proxy: then raise this and the \
            other limits of one client to the limits of the server, or give each client a token.
            """)
        http.maxConcurrentRequests = section.integer(
            "max_requests", default: http.maxConcurrentRequests, in: 1...1_000_000,
            """
            Maximum number of requests that are answered at the same time, without streams, waits and searches. \
            Further requests are answered with 503.
            """)
        http.maxConcurrentRequestsPerClient = section.integer(
            "max_requests_per_client", default: http.maxConcurrentRequestsPerClient, in: 1...1_000_000,
            """
            The same for one client. A client is a token, or an address if it has no token. Further requests are \
            answered with 429.
            """)
        http.maxHeaderBytes = section.integer(
            "max_header_bytes", default: http.maxHeaderBytes, in: 512...(1 << 20),
            "Maximum size of all header fields of a request together.")
        http.maxTargetBytes = section.integer(
            "max_target_bytes", default: http.maxTargetBytes, in: 256...(1 << 20),
            "Maximum size of a request's path and query.")
        http.receiveTimeoutMs = section.integer(
            "receive_timeout_ms", default: http.receiveTimeoutMs, in: 10...600_000,
            "Maximum time from the first byte of a request to its last.")
        http.idleTimeoutMs = section.integer(
            "idle_timeout_ms", default: http.idleTimeoutMs, in: 10...3_600_000,
            "Maximum time that a connection may stay open without a request.")
        http.writeTimeoutMs = section.integer(
            "write_timeout_ms", default: http.writeTimeoutMs, in: 10...600_000,
            "Time without progress after which a client that does not read its answer is disconnected.")
        http.drainTimeoutMs = section.integer(
            "drain_timeout_ms", default: http.drainTimeoutMs, in: 1...600_000,
            "Maximum time that a shutdown waits for requests that are being answered.")
    }
}
