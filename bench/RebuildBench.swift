import Events
import Foundation
import Kafka
import OrderSummary
import Orders
import Postgres
import ReadModels
import StreamCore
import Synchronization

/// The order summary is rebuilt from 1,000,000 events and promoted, while the live version applies new events and a
/// query service answers. The bench measures the duration, compares it with the SQL of the same batches alone, and
/// counts failed queries. It also measures how long readers may have waited for the promotion. MILLRACE_BENCH_EVENTS
/// sets another number of events.
enum RebuildBench {
    static let name = "rebuild"
    static let events =
        ProcessInfo.processInfo.environment["MILLRACE_BENCH_EVENTS"].flatMap { Int($0) } ?? 1_000_000
    /// The new events a second and the queries a second during the rebuild.
    static let liveRate = 200.0
    static let queryRate = 100.0

    @Sendable static func run(on servers: BenchServers) async throws -> BenchResult {
        try await LifecycleEvents.produce(events, to: servers)
        say("\(events) events are in Kafka")
        let limit = try await SQLAlone.eventsPerSecond(on: servers, events: events)
        say("the SQL alone: \(Int(limit)) events/s")
        let projection = try servers.start(
            "order-summary-projection", settings: ["projection.topic_suffix": servers.topicSuffix])
        let connection = try await PostgresConnection.connect(servers.postgres)
        try await servers.wait("live version", within: .seconds(600), every: .milliseconds(200)) {
            guard projection.isRunning else { throw BenchError("the projection has ended") }
            return try await applied(1, connection) >= Int64(events)
        }
        say("the live version has them")
        let service = try await QueryServiceUnderLoad.start(on: servers)
        var result = BenchResult(name: name)
        result.events = events
        result.limitPerS = limit
        try await withThrowingTaskGroup(of: Void.self) { group in
            let questions = try Questions(port: service.port)
            group.addTask { try await questions.ask() }
            group.addTask { try await sendLiveEvents(to: servers) }
            try await rebuild(on: servers, connection, questions, &result)
            group.cancelAll()
            while let outcome = await group.nextResult() {
                if case .failure(let error) = outcome, !(error is CancellationError) { throw error }
            }
            result.failedQueries = questions.failures
            say("\(questions.count) queries")
        }
        await connection.close()
        try await service.process.stop()
        try await projection.stop()
        return result
    }

    private static func rebuild(
        on servers: BenchServers, _ connection: PostgresConnection, _ questions: Questions,
        _ result: inout BenchResult
    ) async throws {
        let filling = try servers.millrace(
            "rebuild", "start", OrderSummaryProjection.readModel.name, "--topic-suffix", servers.topicSuffix)
        var first: (time: ContinuousClock.Instant, applied: Int64)?
        try await servers.wait("rebuilt version", within: .seconds(900), every: .milliseconds(50)) {
            guard filling.isRunning else { throw BenchError("the rebuild has ended") }
            let applied = try await applied(2, connection)
            if first == nil, applied > 0 { first = (.now, applied) }
            return applied >= Int64(events)
        }
        guard let first else { throw BenchError("the version was built before the first measurement") }
        let seconds = (ContinuousClock.now - first.time) / .seconds(1)
        result.seconds = seconds
        result.eventsPerS = Double(Int64(events) - first.applied) / seconds
        result.ratio = result.eventsPerS.map { $0 / (result.limitPerS ?? $0) }
        result.peakRssMib = try filling.peakResidentMiB()
        say("rebuilt in \(seconds) s")

        var postgres = servers.postgres
        postgres.searchedFirst = []
        questions.measure()
        let promotion = try await Rebuild(OrderSummaryProjection.readModel, postgres).promote(
            isForced: true, waitingUpTo: .seconds(120))
        result.promoteBlockMs = promotion.blockedFor / .milliseconds(1)
        // The rebuild ends on its own after its version is live.
        try await servers.wait("end of the rebuild", within: .seconds(60)) { !filling.isRunning }
        result.maxMs = questions.slowestMs
        say("promoted at attempt \(promotion.attempts)")
    }

    private static func applied(_ version: Int32, _ connection: PostgresConnection) async throws -> Int64 {
        try await connection.execute(
            """
            SELECT coalesce(sum(o.next_offset), 0)::bigint
            FROM projection_offsets AS o JOIN projections AS p ON p.id = o.projection_id WHERE p.version = $1
            """, Parameters { $0.append(version) }
        ).int64(0, 0)
    }

    private static func sendLiveEvents(to servers: BenchServers) async throws {
        let producer = try Producer(servers.kafka) { _ in }
        var number = 0
        while !Task.isCancelled {
            let event = LifecycleEvents.created("live-\(number)", at: .now)
            _ = try await producer.send(
                topic: "order\(servers.topicSuffix)", key: Array(event.identity.aggregateID.utf8),
                value: EventEncoder.envelope(event))
            number += 1
            try? await Task.sleep(for: .seconds(1 / liveRate))
        }
        await producer.close(timeoutMs: 10_000)
    }
}

/// Sends one query after the other, and counts the results.
private final class Questions: Sendable {
    private struct Tally {
        var count = 0
        var failures = 0
        var slowest = Duration.zero
    }

    private let client: RequestClient
    private let tally = Mutex(Tally())

    init(port: Int) throws {
        client = try RequestClient(port: port)
    }

    var count: Int { tally.withLock { $0.count } }
    var failures: Int { tally.withLock { $0.failures } }
    var slowestMs: Double { tally.withLock { $0.slowest / .milliseconds(1) } }

    /// From now on the slowest response counts.
    func measure() { tally.withLock { $0.slowest = .zero } }

    func ask() async throws {
        var number = 0
        while !Task.isCancelled {
            let id = "order-\(String(number % (RebuildBench.events / 10), radix: 36))-2026"
            let target = number.isMultiple(of: 10) ? "/v1/orders?limit=20" : "/v1/orders/\(id)"
            let start = ContinuousClock.now
            let status = try await client.get(target).status
            let took = ContinuousClock.now - start
            tally.withLock {
                $0.count += 1
                if status != 200 { $0.failures += 1 }
                $0.slowest = max($0.slowest, took)
            }
            number += 1
            try? await Task.sleep(for: .seconds(1 / RebuildBench.queryRate))
        }
    }
}
