internal import Glibc
internal import HummingbirdCore
internal import HummingbirdHTTP2
internal import HummingbirdTLS
public import Logging
internal import NIOCore
internal import NIOPosix
public import ServiceLifecycle

/// Answers HTTP requests by routes: Hummingbird's server, with a limit on everything that a client can make it hold.
///
/// ```
/// socket → ConnectionLimit → (TLS, HTTP/2) → parser → HTTP1Codec → RequestWatch → Hummingbird's task → Responder
/// → route
/// ```
///
/// What the server itself refuses is told as a ``Problem``: 400, 404, 405, 408, 413, 414, 431, 505; 401 without a
/// token; 421 to a request that names another service; 429 to a client that holds too much at once, and 503 to all when
/// the server has too much to do; 500 and 503 for handlers that fail or take too long.
public struct HTTPServer: Service {
    /// The address cannot be listened on.
    public struct BindError: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    private let configuration: HTTPServerConfiguration
    private let routes: [HTTPRoute]
    private let logger: Logger
    private let onListening: @Sendable (Int) -> Void

    /// - Parameter onListening: called once with the port that is listened on.
    public init(
        configuration: HTTPServerConfiguration, routes: [HTTPRoute], logger: Logger,
        onListening: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.routes = routes
        self.logger = logger
        self.onListening = onListening
    }

    /// Serves until the process stops. Then it takes no more connections, ends the idle ones, cancels the tasks of
    /// streams, and waits for what is under way, up to `drainTimeoutMs`.
    ///
    /// - Throws: ``BindError``, ``HTTPServerConfiguration/Invalid``.
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

    /// What Hummingbird does with an accepted connection.
    private static func channel(_ server: HTTPServerContext) throws -> any ServerChildChannel {
        let configuration = server.configuration
        var http1 = HTTP1Channel.Configuration(
            additionalChannelHandlers: [RequestWatch(server)],
            idleTimeout: .milliseconds(Int64(configuration.idleTimeoutMs)))
        // The target counts as a field, and as a part of the whole.
        http1.httpDecoder = .init(
            maxHeaderFieldSize: max(configuration.maxHeaderBytes, configuration.maxTargetBytes),
            maxHeaderListSize: configuration.maxHeaderBytes + configuration.maxTargetBytes,
            maxHeaderFieldCount: HTTP1Codec.maxHeaderFields)
        let responder = Responder(server)
        let answer: HTTPChannelHandler.Responder = { try await responder.respond(to: $0, $1, over: $2) }
        guard let tls = configuration.tls else {
            return HTTP1Channel(responder: answer, configuration: http1)
        }
        guard configuration.http2 else {
            return try TLSChannel(
                HTTP1Channel(responder: answer, configuration: http1), tlsConfiguration: tls.configuration)
        }
        let idle = Duration.milliseconds(configuration.idleTimeoutMs)
        return try HTTP2UpgradeChannel(
            tlsConfiguration: tls.configuration,
            configuration: .init(
                idleTimeout: idle, gracefulCloseTimeout: .milliseconds(configuration.writeTimeoutMs),
                streamConfiguration: http1),
            responder: answer)
    }

    /// Listens until the process stops, and returns when the last connection has ended.
    private func listen(
        for channel: some ServerChildChannel, _ server: HTTPServerContext, on group: MultiThreadedEventLoopGroup
    ) async throws {
        let listener = listener(for: LimitedChannel(base: channel, server: server), on: group)
        // Detached, so that it does not hear of the stop by itself: it would end in a task that nobody can wait for,
        // and that may still ask for something of a loop that is gone.
        let listening = Task.detached { try await listener.run() }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            defer { tasks.cancelAll() }
            tasks.addTask { try await listening.value }
            // Cancelled or told to stop.
            tasks.addTask { try? await gracefulShutdown() }
            do {
                try await tasks.next()
            } catch let error as IOError {
                throw BindError(
                    description: "cannot listen on \(configuration.host):\(configuration.port): \(error)")
            }
            if Task.isCancelled { server.hurry() }
            // It waits for the connections to end.
            try? await listener.shutdownGracefully()
            _ = await listening.result
        }
    }

    private func listener<Channel: ServerChildChannel>(
        for channel: Channel, on group: MultiThreadedEventLoopGroup
    ) -> Server<Channel> {
        // What goes wrong with a connection is the client's business, and a stop is no error.
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

    /// Looks at the files once a second, until it is cancelled.
    private static func reload(_ tokens: TokenSource, logger: Logger, _ onTurn: @Sendable () -> Void) async {
        while !Task.isCancelled {
            try? await Task.sleep(for: HTTPServerConfiguration.turnInterval)
            tokens.reload(logger: logger)
            onTurn()
        }
    }
}
