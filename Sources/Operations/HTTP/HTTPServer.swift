internal import Glibc
internal import HummingbirdCore
public import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
public import ServiceLifecycle

/// An HTTP/1.1 server for the answers of handlers, with a limit on everything that a client can make it hold.
///
/// Listening is Hummingbird's, connections are NIO's with its parser, and what happens on a connection is
/// ``HTTPConnection``'s. There is no task for a connection, only one for each request being answered, on the
/// connection's own thread, so that ten thousand idle connections cost little more than their sockets.
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
        let context = HTTPServerContext(configuration, routes: routes, logger: logger)
        let loops = group.makeIterator().map { HTTPLoop($0, context) }
        do {
            try await serve(on: loops, of: group, context)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        try? await group.shutdownGracefully()
    }

    private func serve(
        on loops: [HTTPLoop], of group: MultiThreadedEventLoopGroup, _ context: HTTPServerContext
    ) async throws {
        let listener = listener(on: loops, of: group, context.configuration)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for loop in loops {
                tasks.addTask(executorPreference: loop.executor) { await loop.work() }
            }
            if let tokens = context.configuration.tokens {
                tasks.addTask { await Self.reload(tokens, logger: logger) }
            }
            defer { tasks.cancelAll() }
            try await listen(with: listener, on: loops)
        }
    }

    /// Listens until the process stops, and returns when the last connection has ended.
    private func listen(with listener: Server<ConnectionSetup>, on loops: [HTTPLoop]) async throws {
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
            // It waits for the connections to end, and hears of them later than their loops do.
            async let quiesced: Void? = try? await listener.shutdownGracefully()
            _ = await listening.result
            // Nobody waits for a server that is cancelled rather than stopped.
            let limit = Task.isCancelled ? 0 : configuration.drainTimeoutMs
            for loop in loops { loop.drain(within: .milliseconds(Int64(limit))) }
            for loop in loops { await loop.drained() }
            _ = await quiesced
        }
    }

    private func listener(
        on loops: [HTTPLoop], of group: MultiThreadedEventLoopGroup, _ configuration: HTTPServerConfiguration
    ) -> Server<ConnectionSetup> {
        // What goes wrong with a connection is the client's business, and a stop is no error.
        let quiet = Logger(label: logger.label) { _ in SwiftLogNoOpLogHandler() }
        let setup = ConnectionSetup(
            loops: Dictionary(uniqueKeysWithValues: loops.map { (ObjectIdentifier($0.eventLoop), $0) }))
        let (host, port) = (configuration.host, configuration.port)
        return Server(
            childChannelSetup: setup,
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
    private static func reload(_ tokens: TokenSource, logger: Logger) async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(1))
            tokens.reload(logger: logger)
        }
    }
}

/// What all connections of a server share.
final class HTTPServerContext: Sendable {
    let configuration: HTTPServerConfiguration
    let routes: RouteTable
    let admission: Admission
    /// Nil when the `Host` of requests need not be looked at.
    let hosts: HostPolicy?
    let heads: ResponseHeads
    let metrics: HTTPMetrics
    let failures: FailureLog

    init(_ configuration: HTTPServerConfiguration, routes: [HTTPRoute], logger: Logger) {
        self.configuration = configuration
        self.routes = RouteTable(routes)
        metrics = HTTPMetrics(configuration.name, routes: routes)
        admission = Admission(configuration, metrics)
        hosts =
            configuration.checksHosts && configuration.tokens == nil
            ? HostPolicy(bound: configuration.host, allowed: configuration.allowedHosts) : nil
        heads = ResponseHeads(configuration)
        failures = FailureLog(logger)
    }
}

/// Gives an accepted connection its handlers and its place on its loop; after that it lives by its events.
private struct ConnectionSetup: ServerChildChannel {
    struct Value: ServerChildChannelValue {
        let channel: any Channel
    }

    let loops: [ObjectIdentifier: HTTPLoop]

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            guard let loop = loops[ObjectIdentifier(channel.eventLoop)], let options = channel.syncOptions else {
                throw ChannelError.operationUnsupported
            }
            let configuration = loop.context.configuration
            // A connection keeps such a buffer; most requests fit.
            try options.setOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 2_048))
            try options.setOption(.maxMessagesPerRead, value: 1)
            // Bounds what a client takes nothing of: the kernel ends the connection of one that is gone or asleep.
            try? options.setOption(
                .tcpOption(NIOBSDSocket.Option(rawValue: TCP_USER_TIMEOUT)),
                value: min(configuration.writeTimeoutMs, Int(CInt.max)))
            var limits = NIOHTTPDecoderLimitConfiguration()
            // The target counts as a field, and as a part of the whole.
            limits.maxHeaderFieldSize = max(configuration.maxHeaderBytes, configuration.maxTargetBytes)
            limits.maxHeaderListSize = configuration.maxHeaderBytes + configuration.maxTargetBytes
            limits.maxHeaderFieldCount = HTTPConnection.maxHeaderFields
            let gate = ConnectionGate()
            let connection = HTTPConnection(
                loop, gate: gate, address: channel.remoteAddress, localAddress: channel.localAddress)
            gate.connection = connection
            try channel.pipeline.syncOperations.addHandlers([
                gate, ByteToMessageHandler(HTTPRequestDecoder(limitConfiguration: limits)), connection,
            ])
            return Value(channel: channel)
        }
    }

    func handle(value: Value, logger: Logger) async {}
}

/// How many files the process may have open.
private enum FileLimit {
    /// Files that are no connections: the database's, Kafka's, the logs, the listener.
    private static let reserve = 256

    /// Raises the soft limit as far as needed and allowed.
    ///
    /// - Returns: how many connections there can be.
    static func raise(toHold connections: Int, logger: Logger) -> Int {
        var limit = rlimit()
        let resource = __rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue))
        // SAFETY: both calls only use the value while they run.
        guard unsafe getrlimit(resource, &limit) == 0 else { return connections }
        let needed = rlim_t(connections + reserve)
        if limit.rlim_cur < needed {
            limit.rlim_cur = min(needed, limit.rlim_max)
            _ = unsafe setrlimit(resource, &limit)
            _ = unsafe getrlimit(resource, &limit)
        }
        guard limit.rlim_cur < needed else { return connections }
        let possible = max(Int(limit.rlim_cur) - reserve, 1)
        logger.warning(
            "fewer connections than configured: the process may not open more files",
            metadata: ["connections": "\(possible)", "configured": "\(connections)"])
        return possible
    }
}
