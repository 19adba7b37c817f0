internal import HTTP
internal import Kafka
internal import Logging
internal import Postgres
internal import StreamCore

/// All that reads one server: sessions, waits for versions, dashboards, and the look at the offsets. A request is
/// answered by one stack, so what it is told of freshness is of the same server as the rows.
struct ReadStack: Sendable {
    let server: ReadServer
    let pool: ReadPool
    let watcher: VersionWatcher
    let pipeline: PipelineWatch
    let hub: DashboardHub
    let orders: OrderReads
    let sql: SQLQueryReads

    /// - Parameter replayedUntil: of a replica, up to when it shows what the primary has committed.
    init(
        _ server: ReadServer, _ configuration: QueryServiceConfiguration, _ postgres: PostgresConfiguration,
        _ kafka: KafkaClientConfiguration, _ queries: SQLQuerySet,
        replayedUntil: (@Sendable () -> Timestamp?)? = nil, logger: Logger
    ) {
        self.server = server
        pool = ReadPool(postgres, configuration.pool, logger: logger)
        watcher = VersionWatcher(
            postgres, maxWaiters: configuration.maxWaiters,
            // A standby refuses LISTEN.
            notifyChannel: server == .primary ? configuration.notifyChannel : nil)
        // Without read models of orders, answers are made of those in SQL, whatever their names.
        let names = configuration.readModels.isEmpty ? nil : Set(configuration.readModels.map(\.rawValue))
        pipeline = PipelineWatch(
            postgres, kafka, of: names, intervalMs: configuration.pipelineIntervalMs, replayedUntil: replayedUntil,
            logger: logger)
        var hub = DashboardHubConfiguration()
        hub.updateIntervalMs = configuration.updateIntervalMs
        hub.heartbeatMs = configuration.heartbeatMs
        self.hub = DashboardHub(postgres, pipeline, hub, logger: logger)
        orders = OrderReads(
            pool: pool, watcher: watcher, fallsBack: configuration.fallback == .writeModel,
            maxWaitSeconds: configuration.maxWaitSeconds)
        sql = SQLQueryReads(
            configuration.sql, queries, pool: pool, pipeline: pipeline, maxWaitSeconds: configuration.maxWaitSeconds)
    }

    /// Answers a request, and says up to when the answer shows what was committed.
    func answer(_ body: (ReadStack) async throws -> HTTPResponse) async throws -> HTTPResponse {
        // Before the rows: they show what was committed until then, or more.
        let asOf = pipeline.asOfText
        var response = try await body(self)
        if !response.headers.contains(where: { $0.name == "X-As-Of" }) {
            response.headers.append((name: "X-As-Of", value: asOf))
        }
        return response
    }

    /// Works until the task is cancelled.
    func run(onTurn: @escaping @Sendable (QueryService.Turn) -> Void) async {
        let server = server
        let turned: @Sendable (QueryService.Loop) -> Void = { onTurn(.loop(.init($0, server))) }
        let worked: @Sendable (QueryService.Worker, QueryService.Activity) -> Void = {
            onTurn(.worker(.init($0, server), $1))
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await pool.run {
                    turned(.reads)
                } onWork: {
                    worked(.reader($0), $1)
                }
            }
            group.addTask {
                await watcher.run {
                    turned(.versions)
                } onWork: {
                    worked(.versionReader, $0)
                }
            }
            group.addTask {
                await pipeline.run { turn in
                    switch turn {
                    case .brokers: turned(.brokers)
                    case .database(let failure): onTurn(.pipeline(server, failure))
                    }
                }
            }
            group.addTask { await hub.run(onTurn: { turned(.dashboards) }, onBeat: { turned(.heartbeats) }) }
        }
    }
}

/// The servers, and which of them answers a request.
struct ReadServers: Sendable {
    let primary: ReadStack
    private let replica: (stack: ReadStack, watch: ReplicaWatch)?

    init(primary: ReadStack, replica: (stack: ReadStack, watch: ReplicaWatch)? = nil) {
        self.primary = primary
        self.replica = replica
    }

    /// The one that answers now.
    var current: ReadStack {
        guard let replica, replica.watch.server == .replica else { return primary }
        return replica.stack
    }

    /// Why that one answers; nil without a replica.
    var reason: ServerChoice.Reason? { replica?.watch.reason }

    var all: [ReadStack] { [primary] + (replica.map { [$0.stack] } ?? []) }

    /// Answers a request. A replica that went away since the last look is left to the primary.
    func answer(_ body: (ReadStack) async throws -> HTTPResponse) async throws -> HTTPResponse {
        let stack = current
        do {
            return try await stack.answer(body)
        } catch let problem as Problem where problem.type == Problems.unavailableType && stack.server == .replica {
            return try await primary.answer(body)
        }
    }

    /// Works until the task is cancelled.
    func run(onTurn: @escaping @Sendable (QueryService.Turn) -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            for stack in all { group.addTask { await stack.run(onTurn: onTurn) } }
            guard let replica else { return }
            group.addTask {
                await replica.watch.run { server in
                    onTurn(.loop(.init(.servers, .primary)))
                    onTurn(.answering(server))
                }
            }
        }
    }
}
