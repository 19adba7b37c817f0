import Events
import Foundation
import OrderShop
import Postgres
import StreamCore

/// 200 orders a second for 30 s: the time from the commit of an order until the response to a request that waits for
/// its version.
enum ReadYourWrite {
    static let name = "read-your-write"
    static let rate = 200
    static let seconds = 30
    /// Number of requests that may wait at once.
    static let clients = 64

    private struct Written: Sendable {
        let order: String
        let committed: ContinuousClock.Instant
    }

    @Sendable static func run(on servers: BenchServers) async throws -> [BenchResult] {
        let relay = try servers.start("outbox-relay", settings: ["relay.topic_suffix": servers.topicSuffix])
        let projection = try servers.start(
            "order-summary-projection",
            settings: ["projection.topic_suffix": servers.topicSuffix, "kafka.properties.fetch.wait.max.ms": "4"])
        let service = try await QueryServiceUnderLoad.start(on: servers)
        // The pipeline is warm after some orders have passed through it.
        _ = try await play(seed: 1, rate: 20, .seconds(3), on: servers, port: service.port)
        let latencies = try await play(seed: 2, rate: Double(rate), .seconds(seconds), on: servers, port: service.port)

        var result = BenchResult(name: name)
        result.events = latencies.count
        result.seconds = Double(seconds)
        result.eventsPerS = Double(latencies.count) / Double(seconds)
        result.peakRssMib = try service.process.peakResidentMiB()
        result.take(latencies)
        try await service.process.stop()
        try await projection.stop()
        try await relay.stop()
        return [result]
    }

    /// Writes orders, and immediately requests each of them.
    private static func play(
        seed: UInt64, rate: Double, _ duration: Duration, on servers: BenchServers, port: Int
    ) async throws -> Latencies {
        let (written, writing) = AsyncStream.makeStream(of: Written.self)
        var configuration = ShopLoad.Configuration()
        configuration.seed = seed
        configuration.ordersPerSecond = rate
        configuration.duration = duration
        configuration.creationOnly = true
        let load = ShopLoad(configuration, database: servers.postgres) { commit in
            for event in commit.events {
                writing.yield(Written(order: event.identity.aggregateID, committed: commit.instant))
            }
        }
        async let asked = ask(written, port: port)
        defer { writing.finish() }
        _ = try await load.run()
        writing.finish()
        return try await asked
    }

    private static func ask(_ written: AsyncStream<Written>, port: Int) async throws -> Latencies {
        var idle = try (0..<clients).map { _ in try RequestClient(port: port) }
        var latencies = Latencies()
        try await withThrowingTaskGroup(of: (RequestClient, Duration).self) { group in
            for await order in written {
                if idle.isEmpty, let (client, duration) = try await group.next() {
                    idle.append(client)
                    latencies.record(duration)
                }
                guard let client = idle.popLast() else { throw BenchError("there is no connection") }
                group.addTask {
                    let target = "/v1/orders/\(order.order)?min_version=1"
                    let response = try await client.get(target, headers: "Prefer: wait=10\r\n")
                    guard response.status == 200 else { throw BenchError("\(target): \(response.body)") }
                    return (client, response.instant - order.committed)
                }
            }
            for try await (_, duration) in group { latencies.record(duration) }
        }
        return latencies
    }
}
