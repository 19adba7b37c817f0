public import HTTP
public import Kafka
public import Logging
public import Postgres
internal import SQLQueries
internal import StreamCore
internal import WireJSON

/// Answers queries from the read models: queries for orders and the dashboard, if they are configured, and queries in
/// SQL.
///
/// It has no server of its own. ``routes`` contains the handler of each path, ``commonHeaders`` returns the headers of
/// every response, and ``run(onTurn:)`` does the work in the background.
public struct QueryService: Sendable {
    let servers: ReadServers
    /// What is answered, by path. Paths of files are there once ``loadQueries()`` has read them. The page's files and
    /// the API's description are public, the data is not.
    public let routes = HTTPRoutes([])
    private let pages: [StaticFile]
    private let readModels: Set<QueryServiceConfiguration.ReadModel>
    private let queries: SQLQuerySet
    private let telemetry = QueryTelemetry(types: Kind.allCases.map(\.rawValue))

    /// - Parameters:
    ///   - postgres: the database with the read models.
    ///   - replica: a streaming replica of the database. It answers while its delay is small enough; nil for none.
    ///   - kafka: the brokers. The service reads only the end offsets of partitions, to know how far behind the read
    ///     models are.
    ///   - page: the files of the page, each with its path. They are served with the dashboard.
    public init(
        configuration: QueryServiceConfiguration, postgres: PostgresConfiguration,
        replica: PostgresConfiguration? = nil, kafka: KafkaClientConfiguration, page: [StaticFile] = [], logger: Logger
    ) {
        // The service only reads, so a standby is as good as the primary.
        var postgres = postgres
        postgres.access = .any
        let all: [ReadServer] = replica == nil ? [.primary] : ReadServer.allCases
        loops = Self.loops(of: configuration, servers: all)
        workers = Self.workers(of: configuration, servers: all)
        readModels = configuration.readModels
        pages = readModels.contains(.dashboard) ? page : []
        queries = SQLQuerySet(
            configuration.sql, postgres, besides: configuration.builtInPaths,
            description: .openAPI(of: configuration.readModels), logger: logger)
        defer { showRoutes() }
        let primary = ReadStack(.primary, configuration, postgres, kafka, queries, logger: logger)
        guard var replica else {
            servers = ReadServers(primary: primary)
            return
        }
        replica.access = .any
        let watch = ReplicaWatch(
            primary: postgres, replica: replica, maxDelayMs: configuration.replicaMaxDelayMs, logger: logger)
        let stack = ReadStack(
            .replica, configuration, replica, kafka, queries, replayedUntil: { watch.replayedUntil }, logger: logger)
        servers = ReadServers(primary: primary, replica: (stack, watch))
    }

    /// The migration sets that the database must have.
    public static func migrationSets(for configuration: QueryServiceConfiguration) -> [String] {
        let all =
            ["projections"]
            + QueryServiceConfiguration.ReadModel.allCases.filter(configuration.readModels.contains).map(\.rawValue)
            + (configuration.sql.folders.isEmpty ? [] : ["sql-projections"])
        return configuration.fallback == .writeModel ? all + ["orders"] : all
    }

    private func showRoutes() {
        let files = pages.map { file in HTTPRoute(file.path, isPublic: true) { file.response(to: $0) } }
        let description = HTTPRoute(StaticFile.openAPIPath, isPublic: true) { [queries] in
            queries.document.response(to: $0)
        }
        let builtIn = BuiltInPath.allCases.filter { $0.isServed(by: readModels) }.map(route)
        routes.replace(with: builtIn + queries.paths.map(route) + [description] + files)
    }

    private func route(_ path: BuiltInPath) -> HTTPRoute {
        switch path {
        case .order: counted(path, .order) { try await $0.orders.order($1) }
        case .orders: counted(path, .orders) { try await $0.orders.orders($1) }
        case .customerOrders: counted(path, .customerOrders) { try await $0.orders.ordersOfCustomer($1) }
        case .customerSummary: counted(path, .customerSummary) { try await $0.orders.customerSummary($1) }
        case .dashboard: counted(path, .dashboard) { try await $0.hub.dashboard($1) }
        case .dashboardStream:
            HTTPRoute(path.rawValue, isStream: true) { [servers] request in
                try await servers.answer { try await $0.hub.stream(request) }
            }
        case .freshness: counted(path, .freshness) { try Self.freshness($0.pipeline, $1) }
        case .query: HTTPRoute(path.rawValue) { try await sql($0.parameter("name"), at: nil, $0) }
        }
    }

    /// The route of a query's own path.
    private func route(_ name: String, _ path: QueryPath) -> HTTPRoute {
        HTTPRoute(path.template) { try await sql(name, at: path, $0) }
    }

    private func sql(_ name: String, at path: QueryPath?, _ request: HTTPRequest) async throws -> HTTPResponse {
        try await telemetry.counting(queries.metricType(name)) {
            try await servers.answer { try await $0.sql.answer(request, name, at: path) }
        }
    }

    /// The types of queries, as in the metrics. The type of a query in SQL is the name of its file.
    enum Kind: String, CaseIterable {
        case order, orders, dashboard, freshness
        case customerOrders = "customer_orders"
        case customerSummary = "customer_summary"
    }

    private func counted(
        _ path: BuiltInPath, _ kind: Kind,
        _ handler: @escaping @Sendable (ReadStack, HTTPRequest) async throws -> HTTPResponse
    ) -> HTTPRoute {
        HTTPRoute(path.rawValue) { [telemetry, servers] request in
            try await telemetry.counting(kind.rawValue) {
                try await servers.answer { try await handler($0, request) }
            }
        }
    }

    /// Headers of responses that do not set them: the time up to which the read models show what was committed.
    public var commonHeaders: @Sendable () -> [(name: String, value: String)] {
        { [servers] in [(name: "X-As-Of", value: servers.current.pipeline.asOfText)] }
    }

    /// Reads the SQL files of queries and checks them against the database.
    ///
    /// - Throws: `InvalidFolder` with all problems of the files; the queries then stay unchanged. `PostgresError`.
    public func loadQueries() async throws { try await preparedQueries()() }

    /// Reads the files again and checks them against the database, without a change of the queries.
    ///
    /// - Returns: a function that replaces the current queries by the ones that were read.
    /// - Throws: as ``loadQueries()``.
    public func preparedQueries() async throws -> @Sendable () -> Void {
        let replace = try await queries.prepare()
        return {
            replace()
            showRoutes()
        }
    }

    /// Runs until the task is cancelled. Requests are answered while it runs.
    ///
    /// - Parameter onTurn: called after each turn of a loop, whether or not the servers answer.
    public func run(onTurn: @escaping @Sendable (Turn) -> Void = { _ in }) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await servers.run(onTurn: onTurn) }
            group.addTask { await queries.run { onTurn(.loop(WatchedLoop(.queries, .primary))) } }
        }
    }

    /// A loop whose turning shows that the service is alive.
    public enum Loop: String, Sendable, CaseIterable {
        case reads, versions, queries, pipeline, brokers, dashboards, heartbeats
        /// The choice of the server that answers.
        case servers
    }

    /// A part of the service, and the server whose data it reads.
    public struct OnServer<Part: Hashable & Sendable>: Sendable, Hashable, CustomStringConvertible {
        public let part: Part
        public let server: ReadServer

        public init(_ part: Part, _ server: ReadServer) {
            self.part = part
            self.server = server
        }

        public var description: String { server == .primary ? "\(part)" : "\(part) (\(server.rawValue))" }
    }

    public typealias WatchedLoop = OnServer<Loop>
    public typealias WatchedWorker = OnServer<Worker>

    /// The loops that this service runs, each with the longest time between two of its turns while nothing delays it.
    public let loops: [WatchedLoop: Duration]

    private static func loops(
        of configuration: QueryServiceConfiguration, servers: [ReadServer]
    ) -> [WatchedLoop: Duration] {
        let each: [Loop: Duration] = [
            .reads: ReadPool.expiryInterval, .versions: VersionWatcher.expiryInterval,
            .pipeline: .milliseconds(configuration.pipelineIntervalMs),
            .brokers: .milliseconds(max(configuration.pipelineIntervalMs, 200)),
            .dashboards: max(.milliseconds(configuration.updateIntervalMs), .seconds(10)),
            .heartbeats: .milliseconds(configuration.heartbeatMs),
        ]
        var loops: [WatchedLoop: Duration] = [:]
        for server in servers {
            for (loop, pause) in each { loops[WatchedLoop(loop, server)] = pause }
        }
        if !configuration.sql.folders.isEmpty { loops[WatchedLoop(.queries, .primary)] = SQLQuerySet.refreshInterval }
        if servers.contains(.replica) {
            loops[WatchedLoop(.servers, .primary)] = ReplicaWatch.interval(maxDelayMs: configuration.replicaMaxDelayMs)
        }
        return loops
    }

    /// A part of the service that waits until there is work.
    public enum Worker: Hashable, Sendable, CustomStringConvertible {
        /// A connection of the pool, from 0.
        case reader(Int)
        /// The search for versions that requests wait for.
        case versionReader

        public var description: String {
            switch self {
            case .reader(let number): "reader \(number)"
            case .versionReader: "version reader"
            }
        }
    }

    /// What a worker does.
    public enum Activity: Sendable, Hashable {
        /// It waits for work, or for the database to accept a connection.
        case idle
        /// It has begun a piece of work since the last report.
        case moving
        /// It is still at the piece of work of the last report.
        case busy
    }

    /// The workers of this service, each with the maximum time of one piece of work while the database answers late.
    public let workers: [WatchedWorker: Duration]

    private static func workers(
        of configuration: QueryServiceConfiguration, servers: [ReadServer]
    ) -> [WatchedWorker: Duration] {
        // A batch that fails is repeated read by read.
        let batch = Duration.milliseconds(
            configuration.pool.statementTimeoutMs * (configuration.pool.batchLimit + 1))
        var workers: [WatchedWorker: Duration] = [:]
        for server in servers {
            workers[WatchedWorker(.versionReader, server)] = VersionWatcher.statementTimeout
            for number in 0..<configuration.pool.connections {
                workers[WatchedWorker(.reader(number), server)] = batch
            }
        }
        return workers
    }

    /// A loop has turned, or a worker reports.
    public enum Turn: Sendable {
        case loop(WatchedLoop)
        case worker(WatchedWorker, Activity)
        /// The state of the pipeline was read on a server; the error if its database could not be read.
        case pipeline(ReadServer, (any Error)?)
        /// The server that answers now, if there is a replica.
        case answering(ReadServer)
    }

    /// `GET /v1/freshness`.
    private static func freshness(_ pipeline: PipelineWatch, _ request: HTTPRequest) throws -> HTTPResponse {
        try QueryParameters(request.query, names: []).check()
        let snapshot = pipeline.snapshot
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("asOf")
        if let asOf = snapshot.asOf { writer.string(asOf) } else { writer.null() }
        writer.key("projections")
        writer.raw(snapshot.projections.span)
        writer.endObject()
        return HTTPResponse(status: 200, headers: OrderReads.jsonHeaders, body: .bytes(writer.finish()))
    }
}
