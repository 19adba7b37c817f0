import Events
import Foundation
import Kafka
import Migrations
import Orders
import Postgres
import StreamCore

/// 1,000 dashboard pages are open at once. The bench measures the time from the commit of a change until each page has
/// it. It also compares the projection's rate with these pages to its rate without them, before and after.
enum StreamBench {
    static let name = "stream"
    static let clients = 1_000
    static let changes = 20
    /// The number of events with which the projection catches up each time.
    static let events = 150_000

    @Sendable static func run(on servers: BenchServers) async throws -> [BenchResult] {
        try await Migrator(servers.postgres).up(["dashboard"])
        let connection = try await PostgresConnection.connect(servers.postgres)
        let before = try await catchUpRate(round: 0, on: servers, connection)
        let service = try await QueryServiceUnderLoad.start(on: servers)
        let streams = try StreamClients(
            port: service.port, count: clients, target: "/v1/dashboard/stream?window=24h")
        _ = try await streams.seen(within: .seconds(30))
        let during = try await catchUpRate(round: 1, on: servers, connection)
        say("\(streams.bytesReceived / 1_024) KiB for \(clients) clients")
        let latencies = try await watchChanges(streams, on: servers, connection)
        let peak = try service.process.peakResidentMiB()
        streams.stop()
        try await service.process.stop()
        let after = try await catchUpRate(round: 2, on: servers, connection)
        await connection.close()

        var result = BenchResult(name: name)
        result.events = latencies.count
        result.eventsPerS = during
        result.limitPerS = (before + after) / 2
        result.ratio = during / ((before + after) / 2)
        result.peakRssMib = peak
        result.take(latencies)
        return [result]
    }

    /// The rate at which a projection applies this number of events of new orders, in events a second.
    private static func catchUpRate(
        round: Int, on servers: BenchServers, _ connection: PostgresConnection
    ) async throws -> Double {
        let known = try await applied(connection)
        try await LifecycleEvents.produce(events, firstOrder: round * events, to: servers)
        let projection = try servers.start(
            "dashboard-projection", settings: ["projection.topic_suffix": servers.topicSuffix])
        var first: (time: ContinuousClock.Instant, applied: Int64)?
        try await servers.wait("caught-up projection", within: .seconds(300), every: .milliseconds(20)) {
            guard projection.isRunning else { throw BenchError("the projection has ended") }
            let now = try await applied(connection)
            if first == nil, now > known { first = (.now, now) }
            return now >= known + Int64(events)
        }
        guard let first else { throw BenchError("the projection finished before the first measurement") }
        let seconds = (ContinuousClock.now - first.time) / .seconds(1)
        try await projection.stop()
        let rate = Double(known + Int64(events) - first.applied) / seconds
        say("\(Int(rate)) events/s")
        return rate
    }

    private static func applied(_ connection: PostgresConnection) async throws -> Int64 {
        try await connection.execute("SELECT coalesce(sum(next_offset), 0)::bigint FROM projection_offsets").int64(0, 0)
    }

    /// Creates one order after the other. The commit is noticed within one or two milliseconds.
    private static func watchChanges(
        _ streams: StreamClients, on servers: BenchServers, _ connection: PostgresConnection
    ) async throws -> Latencies {
        let projection = try servers.start(
            "dashboard-projection", settings: ["projection.topic_suffix": servers.topicSuffix])
        let producer = try Producer(servers.kafka) { _ in }
        var latencies = Latencies()
        for change in -1..<changes {
            let order = "change-\(change)-\(EventID.random())"
            // Nothing else creates orders, so the next count includes this order.
            let orders = try await connection.execute(
                "SELECT coalesce(sum(orders), 0)::bigint FROM dashboard_statuses WHERE status = 'created'"
            ).int64(0, 0)
            streams.expect(#"{"status":"created","orders":\#(orders + 1)}"#)
            let known = try await applied(connection)
            let event = created(order)
            _ = try await producer.send(
                topic: "order" + servers.topicSuffix, key: Array(order.utf8),
                value: EventEncoder.envelope(event))
            try await servers.wait("change", within: .seconds(30), every: .milliseconds(1)) {
                try await applied(connection) > known
            }
            let committed = ContinuousClock.now
            let seen = try await streams.seen(within: .seconds(30))
            // The first change is not counted, because the projection is still starting.
            if change >= 0 { for instant in seen { latencies.record(instant - committed) } }
        }
        await producer.close(timeoutMs: 5_000)
        try await projection.stop()
        return latencies
    }

    private static func created(_ order: String) -> OrderEvent {
        let now = Timestamp.now
        return LifecycleEvents.created(order, at: now)
    }
}
