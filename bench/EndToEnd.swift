import Events
import Foundation
import OrderShop
import Postgres
import StreamCore
import Synchronization

/// 1,000 orders a second for 60 s: the time from the commit of an order until its row is visible in `order_summary`.
enum EndToEnd {
    static let name = "end-to-end"
    static let rate = 1_000
    static let seconds = 60

    @Sendable static func run(on servers: BenchServers) async throws -> BenchResult {
        let relay = try servers.start("outbox-relay", settings: ["relay.topic_suffix": servers.topicSuffix])
        // The mock cluster answers an empty fetch of a consumer only after the whole wait. With a wait of 1 ms,
        // fetching keeps two processors busy, and the bench would measure the lack of processors.
        let projection = try servers.start(
            "order-summary-projection",
            settings: ["projection.topic_suffix": servers.topicSuffix, "kafka.properties.fetch.wait.max.ms": "4"])
        let pending = PendingOrders()
        // The pipeline is warm after an order has passed through it.
        try await play(seed: 1, rate: 10, .seconds(1), on: servers, into: pending)
        pending.close()
        try await pending.watch(servers.postgres, within: .seconds(60))
        pending.open()

        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await play(seed: 2, rate: Double(rate), .seconds(seconds), on: servers, into: pending)
                pending.close()
            }
            group.addTask { try await pending.watch(servers.postgres, within: .seconds(seconds + 60)) }
            try await group.waitForAll()
        }
        let peak = try max(relay.peakResidentMiB(), projection.peakResidentMiB())
        try await projection.stop()
        try await relay.stop()

        let latencies = pending.latencies
        var result = BenchResult(name: name)
        result.events = latencies.count
        result.seconds = Double(seconds)
        result.eventsPerS = Double(latencies.count) / Double(seconds)
        result.peakRssMib = peak
        result.take(latencies)
        return result
    }

    private static func play(
        seed: UInt64, rate: Double, _ duration: Duration, on servers: BenchServers, into pending: PendingOrders
    ) async throws {
        var configuration = ShopLoad.Configuration()
        configuration.seed = seed
        configuration.ordersPerSecond = rate
        configuration.duration = duration
        configuration.creationOnly = true
        let load = ShopLoad(configuration, database: servers.postgres) { commit in
            for event in commit.events { pending.add(event.identity.aggregateID, committed: commit.instant) }
        }
        _ = try await load.run()
    }
}

/// Orders that are committed but not visible in the read model yet.
final class PendingOrders: Sendable {
    private struct State {
        var waiting: [String: ContinuousClock.Instant] = [:]
        var latencies = Latencies()
        var isClosed = false
    }

    private let state = Mutex(State())

    func add(_ order: String, committed: ContinuousClock.Instant) {
        state.withLock { $0.waiting[order] = committed }
    }

    var latencies: Latencies { state.withLock { $0.latencies } }

    /// No more orders will be added.
    func close() {
        state.withLock { $0.isClosed = true }
    }

    /// Begins a new measurement.
    func open() {
        state.withLock { $0 = State() }
    }

    /// Queries the waiting orders repeatedly, until no more are added and all are visible.
    func watch(_ postgres: PostgresConfiguration, within limit: Duration) async throws {
        let connection = try await PostgresConnection.connect(postgres)
        // The statement must use the index. A plan that was made while the table was empty would scan the whole table
        // again and again, and the bench would measure that. OFFSET 0 prevents such a plan.
        let visible: Statement = """
            SELECT wanted.order_id FROM unnest($1::text[]) AS wanted (order_id)
            CROSS JOIN LATERAL (SELECT 1 FROM order_summary WHERE order_id = wanted.order_id OFFSET 0) AS found
            """
        let deadline = ContinuousClock.now + limit
        while state.withLock({ !$0.isClosed || !$0.waiting.isEmpty }) {
            guard ContinuousClock.now < deadline else { throw BenchError("orders are not visible within \(limit)") }
            var ids = TextArray()
            for order in state.withLock({ Array($0.waiting.keys) }) { ids.append(order) }
            let rows = try await connection.execute(visible, Parameters { $0.append(ids) })
            let now = ContinuousClock.now
            let seen = try (0..<rows.rowCount).map { row in try rows.string(row, 0) }
            state.withLock { state in
                for order in seen {
                    guard let committed = state.waiting.removeValue(forKey: order) else { continue }
                    state.latencies.record(now - committed)
                }
            }
            try await Task.sleep(for: .milliseconds(2))
        }
        await connection.close()
    }
}
