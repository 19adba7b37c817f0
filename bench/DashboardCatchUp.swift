import Dashboard
import Migrations
import Orders
import Postgres
import Synchronization

/// One dashboard projection starts with nothing and catches up with 500,000 lifecycle events in Kafka. The limit is its
/// SQL alone: the same statements with the same parameters on one connection. The parameters are prepared before the
/// clock starts.
enum DashboardCatchUp {
    static let name = "dashboard-catch-up"
    /// All events are on one day and about ten products.
    static let hotName = "dashboard-catch-up-hot"
    static let events = 500_000

    @Sendable static func run(on servers: BenchServers) async throws -> BenchResult {
        try await run(name, .tenDays, on: servers)
    }

    @Sendable static func runHot(on servers: BenchServers) async throws -> BenchResult {
        try await run(hotName, .oneDayTenProducts, on: servers)
    }

    private static func run(
        _ name: String, _ variety: LifecycleEvents.Variety, on servers: BenchServers
    ) async throws -> BenchResult {
        try await Migrator(servers.postgres).up(["dashboard"])
        try await LifecycleEvents.produce(events, variety, to: servers)
        say("\(events) events are in Kafka")
        let limit = try await DashboardSQLAlone.eventsPerSecond(on: servers)
        say("the SQL alone: \(Int(limit)) events/s")

        let projection = try servers.start(
            "dashboard-projection", settings: ["projection.topic_suffix": servers.topicSuffix])
        let connection = try await PostgresConnection.connect(servers.postgres)
        var first: (time: ContinuousClock.Instant, applied: Int64)?
        try await servers.wait("caught-up projection", within: .seconds(300), every: .milliseconds(20)) {
            guard projection.isRunning else { throw BenchError("the projection has ended") }
            let applied = try await connection.execute(
                "SELECT coalesce(sum(next_offset), 0)::bigint FROM projection_offsets"
            ).int64(0, 0)
            if first == nil, applied > 0 { first = (.now, applied) }
            return applied >= Int64(events)
        }
        guard let first else { throw BenchError("the projection finished before the first measurement") }
        let seconds = (ContinuousClock.now - first.time) / .seconds(1)
        try await requireAllCounted(connection)
        await connection.close()
        let (peak, processor) = (try projection.peakResidentMiB(), try projection.processorSeconds())
        try await projection.stop()

        var result = BenchResult(name: name)
        result.events = events
        result.seconds = seconds
        result.eventsPerS = Double(Int64(events) - first.applied) / seconds
        result.limitPerS = limit
        result.ratio = result.eventsPerS.map { $0 / limit }
        result.peakRssMib = peak
        result.cpuSPer100k = processor * 100_000 / Double(events)
        return result
    }

    /// A projection that counts wrongly has no valid result.
    private static func requireAllCounted(_ connection: PostgresConnection) async throws {
        let counted = try await connection.execute(
            """
            SELECT (SELECT sum(orders)::bigint FROM dashboard_statuses),
                (SELECT sum(orders_created)::bigint FROM dashboard_counters WHERE resolution = 'day'),
                (SELECT count(*) FROM dashboard_order_rows)
            """)
        let orders = try counted.int64(0, 2)
        guard orders > 0, try counted.int64(0, 0) == orders, try counted.int64(0, 1) == orders else {
            throw BenchError("the dashboard did not count every order")
        }
    }
}

/// The projection's transactions, which are recorded and then executed again.
private enum DashboardSQLAlone {
    /// Each element is one round trip.
    private typealias Recorded = [[(Statement, Parameters)]]

    static func eventsPerSecond(on servers: BenchServers) async throws -> Double {
        let batches = try await EventBatches.read(DashboardCatchUp.events, from: servers) { OrderFactsFold($0).changes }
        var postgres = servers.postgres
        let administrator = try await PostgresConnection.connect(postgres)
        try await administrator.execute(script: "CREATE SCHEMA sql_alone")
        postgres.schema = "sql_alone"
        postgres.searchedFirst = ["sql_alone_dashboard_v1"]
        try await Migrator(postgres).up(["projections", "dashboard"])
        let connection = try await PostgresConnection.connect(postgres)
        try await connection.execute(script: EventBatches.tables + horizon)
        let recorded = try await record(batches, connection)
        try await connection.execute(script: empty + EventBatches.offsets)
        try await administrator.execute(script: "CHECKPOINT", timeoutMs: 600_000)

        let start = ContinuousClock.now
        for (batch, statements) in zip(batches, recorded) {
            try await connection.withTransaction { transaction in
                try await batch.begin(in: transaction, remembering: false)
                for roundTrip in statements { _ = try await transaction.pipeline(roundTrip) }
            }
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        await connection.close()
        try await administrator.execute(
            script: "DROP SCHEMA sql_alone, sql_alone_dashboard_v1 CASCADE; CHECKPOINT", timeoutMs: 600_000)
        await administrator.close()
        return Double(batches.reduce(0) { $0 + $1.events }) / seconds
    }

    private static func record(
        _ batches: [EventBatch<[OrderFacts]>], _ connection: PostgresConnection
    ) async throws -> [Recorded] {
        let writer = DashboardWriter()
        var recorded: [Recorded] = []
        for batch in batches {
            recorded.append(
                try await connection.withTransaction { transaction in
                    let trips = Mutex(Recorded())
                    try await writer.write(batch.fold) { statements in
                        trips.withLock { $0.append(statements) }
                        return try await transaction.pipeline(statements)
                    }
                    return trips.withLock { $0 }
                })
        }
        return recorded
    }

    /// The first pass of the projection moves the horizon in the same way.
    private static let horizon = """
        UPDATE dashboard_horizon_rows SET kept_from = clock_timestamp() - interval '48 hours'
        WHERE resolution = 'minute';
        """
    private static let empty = """
        TRUNCATE dashboard_order_rows, dashboard_counter_rows, dashboard_status_rows, dashboard_product_rows,
            dashboard_customer_rows, dashboard_duration_rows, processed_events, projection_offsets;
        """
}
