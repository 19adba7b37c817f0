public import HTTP
public import Kafka
public import Logging
public import Postgres
internal import StreamCore
internal import WireJSON

/// Answers questions about orders and the dashboard out of the read models.
///
/// It has no server of its own: ``routes`` say what answers which path, ``commonHeaders`` what every response says, and
/// ``run(onTurn:)`` is the work behind them.
public struct QueryService: Sendable {
    private let pool: ReadPool
    private let watcher: VersionWatcher
    private let pipeline: PipelineWatch
    private let hub: DashboardHub
    private let orders: OrderReads
    private let pages: [StaticFile]
    private let queries: SQLQuerySet
    private let sql: SQLQueryReads
    private let telemetry = QueryTelemetry(types: Kind.allCases.map(\.rawValue))

    /// - Parameters:
    ///   - postgres: the database with the read models.
    ///   - kafka: the brokers whose ends tell how far behind they are; nothing else is asked of them.
    ///   - page: the files of the page, each with its path.
    public init(
        configuration: QueryServiceConfiguration, postgres: PostgresConfiguration, kafka: KafkaClientConfiguration,
        page: [StaticFile] = [], logger: Logger
    ) {
        // It only reads: a standby is as good as the primary.
        var postgres = postgres
        postgres.access = .any
        loops = Self.loops(of: configuration)
        workers = Self.workers(of: configuration)
        pool = ReadPool(postgres, configuration.pool, logger: logger)
        watcher = VersionWatcher(postgres, maxWaiters: configuration.maxWaiters)
        pipeline = PipelineWatch(postgres, kafka, intervalMs: configuration.pipelineIntervalMs, logger: logger)
        var hub = DashboardHubConfiguration()
        hub.updateIntervalMs = configuration.updateIntervalMs
        hub.heartbeatMs = configuration.heartbeatMs
        self.hub = DashboardHub(postgres, pipeline, hub, logger: logger)
        orders = OrderReads(
            pool: pool, watcher: watcher, fallsBack: configuration.fallback == .writeModel,
            maxWaitSeconds: configuration.maxWaitSeconds)
        pages = page
        queries = SQLQuerySet(configuration.sql, postgres, logger: logger)
        sql = SQLQueryReads(
            configuration.sql, queries, pool: pool, pipeline: pipeline, maxWaitSeconds: configuration.maxWaitSeconds)
    }

    /// The migration sets that the database must have.
    public static func migrationSets(for configuration: QueryServiceConfiguration) -> [String] {
        let all =
            ["projections", "order-summary", "dashboard"]
            + (configuration.sql.folders.isEmpty ? [] : ["sql-projections"])
        return configuration.fallback == .writeModel ? all + ["orders"] : all
    }

    /// What is answered, by path. The page's files and the API's description are public, the data is not.
    public var routes: [HTTPRoute] {
        let (orders, hub, pipeline, queries, sql) = (orders, hub, pipeline, queries, sql)
        return [
            counted("/v1/orders/{id}", .order) { try await orders.order($0) },
            counted("/v1/orders", .orders) { try await orders.orders($0) },
            counted("/v1/customers/{id}/orders", .customerOrders) { try await orders.ordersOfCustomer($0) },
            counted("/v1/customers/{id}/summary", .customerSummary) { try await orders.customerSummary($0) },
            counted("/v1/dashboard", .dashboard) { try await hub.dashboard($0) },
            HTTPRoute("/v1/dashboard/stream", isStream: true) { try await hub.stream($0) },
            counted("/v1/freshness", .freshness) { try Self.freshness(pipeline, $0) },
            HTTPRoute("/v1/q/{name}") { [telemetry] request in
                try await telemetry.counting(queries.metricType(request.parameter("name"))) {
                    try await sql.answer(request)
                }
            },
            HTTPRoute(StaticFile.openAPI.path, isPublic: true) { queries.document.response(to: $0) },
        ] + pages.map { file in HTTPRoute(file.path, isPublic: true) { file.response(to: $0) } }
    }

    /// The types of queries, as the metrics have them; those in SQL are named by their files.
    enum Kind: String, CaseIterable {
        case order, orders, dashboard, freshness
        case customerOrders = "customer_orders"
        case customerSummary = "customer_summary"
    }

    private func counted(_ path: String, _ kind: Kind, _ handler: @escaping HTTPRoute.Handler) -> HTTPRoute {
        HTTPRoute(path) { [telemetry] request in
            try await telemetry.counting(kind.rawValue) { try await handler(request) }
        }
    }

    /// Up to when the read models show what was committed: said by every response.
    public var commonHeaders: @Sendable () -> [(name: String, value: String)] {
        { [pipeline] in [(name: "X-As-Of", value: pipeline.asOfText)] }
    }

    /// Reads the queries that are files of SQL, and asks the database about them.
    ///
    /// - Throws: `InvalidFolder` with all that is wrong with the files, and then nothing has changed; `PostgresError`.
    public func loadQueries() async throws { try await queries.load() }

    /// Reads them again and asks the database about them; nothing changes yet.
    ///
    /// - Returns: puts them in the place of those that are answered now.
    /// - Throws: as ``loadQueries()``.
    public func preparedQueries() async throws -> @Sendable () -> Void { try await queries.prepare() }

    /// Works until the task is cancelled. Requests are answered while it does.
    ///
    /// - Parameter onTurn: called after each turn of a loop, whether or not the servers answer.
    public func run(onTurn: @escaping @Sendable (Turn) -> Void = { _ in }) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await pool.run {
                    onTurn(.loop(.reads))
                } onWork: {
                    onTurn(.worker(.reader($0), $1))
                }
            }
            group.addTask {
                await watcher.run {
                    onTurn(.loop(.versions))
                } onWork: {
                    onTurn(.worker(.versionReader, $0))
                }
            }
            group.addTask { await queries.run { onTurn(.loop(.queries)) } }
            group.addTask { await pipeline.run(onTurn: onTurn) }
            group.addTask {
                await hub.run(onTurn: { onTurn(.loop(.dashboards)) }, onBeat: { onTurn(.loop(.heartbeats)) })
            }
        }
    }

    /// A loop whose turning shows that the service is alive.
    public enum Loop: String, Sendable, CaseIterable {
        case reads, versions, queries, pipeline, brokers, dashboards, heartbeats
    }

    /// The loops that this service runs, each with the longest time between two of its turns while nothing delays it.
    public let loops: [Loop: Duration]

    private static func loops(of configuration: QueryServiceConfiguration) -> [Loop: Duration] {
        var loops: [Loop: Duration] = [
            .reads: ReadPool.expiryInterval, .versions: VersionWatcher.expiryInterval,
            .pipeline: .milliseconds(configuration.pipelineIntervalMs),
            .brokers: .milliseconds(max(configuration.pipelineIntervalMs, 200)),
            .dashboards: max(.milliseconds(configuration.updateIntervalMs), .seconds(10)),
            .heartbeats: .milliseconds(configuration.heartbeatMs),
        ]
        if !configuration.sql.folders.isEmpty { loops[.queries] = SQLQuerySet.refreshInterval }
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
    public let workers: [Worker: Duration]

    private static func workers(of configuration: QueryServiceConfiguration) -> [Worker: Duration] {
        var workers: [Worker: Duration] = [.versionReader: VersionWatcher.statementTimeout]
        for number in 0..<configuration.pool.connections {
            // A batch that fails is repeated read by read.
            workers[.reader(number)] = .milliseconds(
                configuration.pool.statementTimeoutMs * (configuration.pool.batchLimit + 1))
        }
        return workers
    }

    /// A loop has turned, or a worker reports.
    public enum Turn: Sendable {
        case loop(Loop)
        case worker(Worker, Activity)
        /// The look at the pipeline, and why the database did not answer it.
        case pipeline((any Error)?)
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
