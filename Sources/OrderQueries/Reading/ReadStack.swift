internal import HTTP
internal import Kafka
internal import Logging
internal import Postgres
internal import StreamCore

/// Everything that reads one server: sessions, waits for versions, dashboards, and the state of the pipeline. One stack
/// answers a request, so the freshness in the response and the rows are of the same server.
final class ReadStack: Sendable {
    let server: ReadServer
    let pool: ReadPool
    let watcher: VersionWatcher
    let pipeline: PipelineWatch
    let hub: DashboardHub
    let orders: OrderReads
    let sql: SQLQueryReads

    /// - Parameter replayedUntil: for a replica, the time up to which it shows what was committed on the primary.
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
        // Without read models of orders, only queries in SQL are answered. They may read any read model.
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

    /// Answers a request, and adds the time up to which the response shows what was committed.
    func answer(_ body: (ReadStack) async throws -> HTTPResponse) async throws -> HTTPResponse {
        // This time is read before the rows, so the rows show at least what was committed until then.
        let asOf = pipeline.asOfText
        var response = try await body(self)
        if !response.headers.contains(where: { $0.name == "X-As-Of" }) {
            response.headers.append((name: "X-As-Of", value: asOf))
        }
        return response
    }

    /// Runs until the task is cancelled.
    func run(onTurn: @escaping @Sendable (QueryService.Turn) -> Void) async {
        let server = server
        let turned: @Sendable (QueryService.Loop) -> Void = { onTurn(.loop(.init($0, server))) }
        let worked: @Sendable (QueryService.Worker, QueryService.Activity) -> Void = {
            onTurn(.worker(.init($0, server), $1))
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [pool] in
                await pool.run {
                    turned(.reads)
                } onWork: {
                    worked(.reader($0), $1)
                }
            }
            group.addTask { [watcher] in
                await watcher.run {
                    turned(.versions)
                } onWork: {
                    worked(.versionReader, $0)
                }
            }
            group.addTask { [pipeline] in
                await pipeline.run { turn in
                    switch turn {
                    case .brokers: turned(.brokers)
                    case .database(let failure): onTurn(.pipeline(server, failure))
                    }
                }
            }
            group.addTask { [hub] in await hub.run(onTurn: { turned(.dashboards) }, onBeat: { turned(.heartbeats) }) }
        }
    }
}

/// The servers, and the choice of the one that answers a request.
struct ReadServers: Sendable {
    let primary: ReadStack
    private let replica: (stack: ReadStack, watch: ReplicaWatch)?

    init(primary: ReadStack, replica: (stack: ReadStack, watch: ReplicaWatch)? = nil) {
        self.primary = primary
        self.replica = replica
    }

    /// The server that answers now.
    var current: ReadStack {
        guard let replica, replica.watch.server == .replica else { return primary }
        return replica.stack
    }

    /// Why this server answers; nil if there is no replica.
    var reason: ServerChoice.Reason? { replica?.watch.reason }

    var all: [ReadStack] { [primary] + (replica.map { [$0.stack] } ?? []) }

    /// Answers a request. If the replica has become unavailable since the last check, the primary answers.
    func answer(_ body: (ReadStack) async throws -> HTTPResponse) async throws -> HTTPResponse {
        let stack = current
        do {
            return try await stack.answer(body)
        } catch let problem as Problem where problem.type == Problems.unavailableType && stack.server == .replica {
            return try await primary.answer(body)
        }
    }

    /// Runs until the task is cancelled.
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
