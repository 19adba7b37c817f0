internal import Glibc
internal import HummingbirdCore
internal import HummingbirdTLS
public import Logging
internal import NIOCore
internal import NIOHTTP2
internal import NIOPosix
public import ServiceLifecycle

/// An HTTP server with routes, based on Hummingbird. It limits everything that a client can make it hold.
///
/// ```
/// socket → ConnectionLimit → (TLS, HTTP/2) → parser → HTTP1Codec → RequestWatch → RequestReader → Responder
/// → route
/// ```
///
/// The server's own errors are sent as a ``Problem``: 400, 404, 405, 408, 413, 414, 431 and 505 for invalid requests;
/// 401 without a valid token; 421 if the request names another host; 429 if the client reached its limits; 503 if the
/// server reached its limits or a handler takes too long; 500 if a handler fails.
public struct HTTPServer: Service {
    /// The server cannot listen on the address.
    public struct BindError: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    private let configuration: HTTPServerConfiguration
    private let routes: HTTPRoutes
    private let logger: Logger
    private let onListening: @Sendable (Int) -> Void

    /// - Parameter onListening: called once with the port on which the server listens.
    public init(
        configuration: HTTPServerConfiguration, routes: HTTPRoutes, logger: Logger,
        onListening: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.routes = routes
        self.logger = logger
        self.onListening = onListening
    }

    /// Serves until the process stops. Then it accepts no more connections, closes idle ones, cancels the tasks of
    /// streams, and waits for requests in progress, at most `drainTimeoutMs`.
    public func run() async throws {
        try configuration.validate()
        var configuration = configuration
        configuration.maxConnections = FileLimit.raise(toHold: configuration.maxConnections, logger: logger)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.threads)
        let server = HTTPServerContext(configuration, routes: routes, on: group, logger: logger)
        let turns = reportTurns(of: server, on: group)
        let result: Result<Void, any Error>
        do {
            result = .success(try await serve(server, on: group))
        } catch {
            result = .failure(error)
        }
        for turn in turns { turn.cancel() }
        try? await group.shutdownGracefully()
        try result.get()
    }

    /// See ``HTTPServerConfiguration/onTurn``.
    private func reportTurns(
        of server: HTTPServerContext, on group: MultiThreadedEventLoopGroup
    ) -> [RepeatedTask] {
        guard let onTurn = configuration.onTurn else { return [] }
        return group.makeIterator().enumerated().map { thread, eventLoop in
            let executor = server.executor(of: eventLoop)
            let interval = TimeAmount(HTTPServerConfiguration.turnInterval)
            return eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: interval) { _ in
                if executor?.hasWedgedWork != true { onTurn(thread) }
            }
        }
    }

    private func serve(_ server: HTTPServerContext, on group: MultiThreadedEventLoopGroup) async throws {
        let channel = try Self.channel(server)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            defer { tasks.cancelAll() }
            if let tokens = server.configuration.tokens {
                tasks.addTask { await Self.reload(tokens, logger: logger, configuration.onTokensRead ?? {}) }
            }
            try await listen(for: channel, server, on: group)
        }
    }

    /// The channel that Hummingbird sets up for an accepted connection.
    private static func channel(_ server: HTTPServerContext) throws -> any ServerChildChannel {
        guard var tls = server.configuration.tls?.configuration else {
            return HTTPChannel(server: server, negotiates: false)
        }
        let negotiates = server.configuration.http2
        if negotiates { tls.applicationProtocols = NIOHTTP2SupportedALPNProtocols }
        return try TLSChannel(HTTPChannel(server: server, negotiates: negotiates), tlsConfiguration: tls)
    }

    /// Listens until the process stops, and returns when the last connection has ended.
    private func listen(
        for channel: some ServerChildChannel, _ server: HTTPServerContext, on group: MultiThreadedEventLoopGroup
    ) async throws {
        let listener = listener(for: LimitedChannel(base: channel, server: server), on: group)
        // The task is detached, so the service's own stop does not reach it. Otherwise it would end in a task that
        // nobody can wait for and that may still use a stopped event loop.
        let listening = Task.detached { try await listener.run() }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            defer { tasks.cancelAll() }
            tasks.addTask { try await listening.value }
            // Returns when the process stops or the task is cancelled.
            tasks.addTask { try? await gracefulShutdown() }
            do {
                try await tasks.next()
            } catch let error as IOError {
                throw BindError(
                    description: "cannot listen on \(configuration.host):\(configuration.port): \(error)")
            }
            if Task.isCancelled { server.hurry() }
            // This waits for the end of the connections.
            try? await listener.shutdownGracefully()
            _ = await listening.result
            await server.requestsEnded()
        }
    }

    private func listener<Channel: ServerChildChannel>(
        for channel: Channel, on group: MultiThreadedEventLoopGroup
    ) -> Server<Channel> {
        // Errors of a connection are the client's problem, and a stop is not an error, so the library logs nothing.
        let quiet = Logger(label: logger.label) { _ in SwiftLogNoOpLogHandler() }
        let (host, port) = (configuration.host, configuration.port)
        return Server(
            childChannelSetup: channel,
            configuration: ServerConfiguration(
                address: .hostname(host, port: port), backlog: 4_096,
                availableConnectionsDelegate: MaximumAvailableConnections(configuration.maxConnections, logger: quiet)),
            onServerRunning: { [logger, onListening, name = configuration.name] channel in
                let actual = channel.localAddress?.port ?? port
                logger.info("serving \(name)", metadata: ["address": "\(host):\(actual)"])
                onListening(actual)
            },
            eventLoopGroup: group, logger: quiet)
    }

    /// Reads the token files again once a second, until it is cancelled.
    private static func reload(_ tokens: TokenSource, logger: Logger, _ onTurn: @Sendable () -> Void) async {
        while !Task.isCancelled {
            try? await Task.sleep(for: HTTPServerConfiguration.turnInterval)
            tokens.reload(logger: logger)
            onTurn()
        }
    }
}
