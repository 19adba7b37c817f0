internal import Daemon
internal import Operations
internal import Settings

/// `[http]`: where a daemon answers requests, whom it lets in, and its limits.
struct HTTPSettings: FeatureSettings {
    var configuration: HTTPServerConfiguration

    init(from reader: SettingsReader) {
        let section = reader.section("http", "Where requests are answered, and the limits of what clients may ask.")
        var http = HTTPServerConfiguration()
        let defaults = http
        http.name = "queries"
        http.host = section.string(
            "host", default: defaults.host,
            "The address to listen on. One that other machines can reach needs token_files.")
        http.port = section.integer("port", default: defaults.port, in: 0...65_535, "Its port; 0 for any free one.")
        http.threads = section.integer(
            "threads", default: defaults.threads, in: 1...64, "Threads that read requests and write answers.")
        let tokenFiles = section.secretFiles(
            "token_files",
            """
            Files of bearer tokens, one a line; a request for data needs one of them. They are read again when they \
            change, and a file that is removed takes its tokens along. Without any, nobody needs a token. A relative \
            path is looked for like the files of other secrets.
            """)
        http.allowUnauthenticated = section.boolean(
            "allow_unauthenticated", default: defaults.allowUnauthenticated,
            "Listen beyond this machine even without tokens, because something in front of this service lets in.")
        http.allowedHosts = section.strings(
            "allowed_hosts", default: [],
            """
            More names that requests may give in Host, without ports; a leading dot allows all names below it. Needed \
            where the service is reached by another name and has no token_files: then a request for any other name is \
            answered 421, lest a web page of another site reach it (DNS rebinding). The names of the loopback \
            interface, host, and the address that a request came to are always allowed.
            """)
        Self.readLimits(section, &http)
        do {
            if !tokenFiles.isEmpty { http.tokens = try TokenSource(files: tokenFiles) }
            if let wrong = http.allowedHosts.first(where: { !HTTPServerConfiguration.isHost($0) }) {
                section.reject("allowed_hosts", "\"\(wrong)\" is no host: give names or addresses without ports")
                http.allowedHosts = []
            }
            // With a file that cannot be read the question is not whether there are tokens.
            try http.validate()
        } catch let error as TokenSource.FileError {
            section.reject("token_files", error.description)
        } catch {
            section.reject("host", "\(error)")
        }
        configuration = http
    }

    private static func readLimits(_ section: SectionReader, _ http: inout HTTPServerConfiguration) {
        http.maxConnections = section.integer(
            "max_connections", default: http.maxConnections, in: 1...1_000_000, "Connections at once; more wait.")
        http.maxConnectionsPerClient = section.integer(
            "max_connections_per_client", default: http.maxConnectionsPerClient, in: 1...1_000_000,
            """
            The same for one address, or one IPv6 network of 64 bits; more are answered 429. Where a proxy stands in \
            front of this service all clients have its address: then as many as max_connections, and so for the other \
            limits of one client, unless clients have tokens of their own.
            """)
        http.maxConcurrentRequests = section.integer(
            "max_requests", default: http.maxConcurrentRequests, in: 1...1_000_000,
            "Requests being answered at once, without streams, waits and searches; more are answered 503.")
        http.maxConcurrentRequestsPerClient = section.integer(
            "max_requests_per_client", default: http.maxConcurrentRequestsPerClient, in: 1...1_000_000,
            "The same for one client, which is a token or, without one, an address; more are answered 429.")
        http.maxStreams = section.integer(
            "max_streams", default: http.maxStreams, in: 1...1_000_000, "Streams at once; more are answered 503.")
        http.maxStreamsPerClient = section.integer(
            "max_streams_per_client", default: http.maxStreamsPerClient, in: 1...1_000_000,
            "The same for one client; more are answered 429.")
        http.maxWaitsPerClient = section.integer(
            "max_waits_per_client", default: http.maxWaitsPerClient, in: 1...1_000_000,
            "Requests of one client that wait for min_version at once; more are answered 429.")
        http.maxSearches = section.integer(
            "max_searches", default: http.maxSearches, in: 1...1_000_000,
            "Searches for orders at once, waiting ones included; more are answered 503.")
        http.maxSearchesPerClient = section.integer(
            "max_searches_per_client", default: http.maxSearchesPerClient, in: 1...1_000_000,
            "The same for one client; more are answered 429.")
        http.maxHeaderBytes = section.integer(
            "max_header_bytes", default: http.maxHeaderBytes, in: 512...(1 << 20), "Header fields, all together.")
        http.maxTargetBytes = section.integer(
            "max_target_bytes", default: http.maxTargetBytes, in: 256...(1 << 20), "A request's path and query.")
        http.receiveTimeoutMs = section.integer(
            "receive_timeout_ms", default: http.receiveTimeoutMs, in: 10...600_000,
            "From a request's first byte to its last.")
        http.requestTimeoutMs = section.integer(
            "request_timeout_ms", default: 35_000, in: 10...600_000,
            "From there to the answer. More than a read may take, and longer than a request may wait for a version.")
        http.idleTimeoutMs = section.integer(
            "idle_timeout_ms", default: http.idleTimeoutMs, in: 10...3_600_000,
            "How long a connection may be without a request.")
        http.writeTimeoutMs = section.integer(
            "write_timeout_ms", default: http.writeTimeoutMs, in: 10...600_000,
            "How long a client may take nothing of an answer before it is left.")
        http.drainTimeoutMs = section.integer(
            "drain_timeout_ms", default: http.drainTimeoutMs, in: 1...600_000,
            "How long a stop waits for what is being answered.")
    }
}
