import EmbeddedPostgres
import HTTP
import Kafka
import Logging
import Migrations
import Postgres
import StreamCore
import Synchronization
import TestKit
import Testing

@testable import OrderQueries

/// Tests reads on a streaming replica: while its delay is small, and after it becomes too large.
@Suite struct ReplicaTests {
    /// A service that reads from both servers, and a session on each server.
    private struct Place: Sendable {
        let servers: TestReplica
        let service: QueryService
        let primary: PostgresConnection
        let replica: PostgresConnection
        let turned = TurnedLoops()

        func settled(on server: ReadServer) async throws {
            try await eventually { service.servers.current.server == server }
        }

        /// Writes this version of the order on the primary.
        func write(version: Int) async throws {
            try await primary.execute(
                script: """
                    INSERT INTO order_summary_v1.order_summary_rows (order_id, version, updated_at, last_event_id, paid)
                    VALUES ('order-1', \(version), now(), gen_random_uuid(),
                        ROW(now(), gen_random_uuid(), 'pay', 3.00, 'EUR', 'card')::order_summary_v1.order_summary_payment)
                    ON CONFLICT (order_id) DO UPDATE SET version = excluded.version;
                    UPDATE projection_offsets SET next_offset = \(version), updated_at = clock_timestamp()
                    """)
        }

        func pauseReplay(_ isPaused: Bool) async throws {
            try await replica.execute(.unprepared("SELECT pg_wal_replay_\(isPaused ? "pause" : "resume")()"))
        }

        /// Requests the order as a client does.
        func ask(_ query: [(String, String)] = [], wait seconds: Int? = nil) async throws -> Answer {
            let headers = seconds.map { [(name: "prefer", value: "wait=\($0)")] } ?? []
            let request = HTTPRequest(
                path: "/v1/orders/order-1", parameters: [(name: "id", value: "order-1")],
                query: query.map { (name: $0.0, value: $0.1) }, headers: headers)
            let response = try await service.servers.answer { try await $0.orders.order(request) }
            func header(_ name: String) -> String { response.headers.first { $0.name == name }?.value ?? "" }
            // The entity tag begins with the version.
            let version = header("ETag").drop { !$0.isNumber }.prefix { $0.isNumber }
            return Answer(version: Int(version) ?? 0, asOf: header("X-As-Of"))
        }
    }

    private struct Answer {
        let version: Int
        let asOf: String
    }

    private func with(maxDelayMs: Int, _ body: (Place) async throws -> Void) async throws {
        try await TestReplica.with(prepare: { primary in
            try await Migrator(primary).up(OrderScene.sets)
            let connection = try await PostgresConnection.connect(primary)
            try await connection.execute(
                script: """
                    INSERT INTO projections (id, name, version, consumer_group)
                    VALUES (1, 'order-summary', 1, 'a'), (2, 'dashboard', 1, 'b');
                    INSERT INTO projection_offsets (projection_id, topic, partition, next_offset)
                    VALUES (1, 'order-events', 0, 0), (2, 'order-events', 0, 0)
                    """)
            await connection.close()
        }) { servers in
            var configuration = QueryServiceConfiguration()
            configuration.replicaMaxDelayMs = maxDelayMs
            configuration.pipelineIntervalMs = 50
            configuration.heartbeatMs = 100
            configuration.maxWaitSeconds = 120
            // Without brokers, the `asOf` of an answer is the last commit that its server shows.
            let kafka = KafkaClientConfiguration(bootstrapServers: "127.0.0.1:1", clientID: "test")
            let service = QueryService(
                configuration: configuration, postgres: try servers.primaryConfiguration,
                replica: try servers.replicaConfiguration, kafka: kafka, logger: .silent)
            let place = Place(
                servers: servers, service: service,
                primary: try await PostgresConnection.connect(try servers.primaryConfiguration),
                replica: try await PostgresConnection.connect(try servers.replicaConfiguration))
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await service.run { place.turned.note($0) } }
                defer { group.cancelAll() }
                try await place.write(version: 1)
                try await place.settled(on: .replica)
                try await body(place)
            }
            await place.primary.close()
            await place.replica.close()
        }
    }

    /// A replica that does not have the version yet waits for it. It reports its own state, not the primary's.
    @Test func aReplicaNeverShowsOldRowsAsNewOnes() async throws {
        try await with(maxDelayMs: 600_000) { place in
            #expect(try await place.ask([("min_version", "1")], wait: 120).version == 1)
            try await place.pauseReplay(true)
            try await place.write(version: 2)
            let primary = place.service.servers.primary
            try await eventually { primary.pipeline.asOfText > place.service.servers.current.pipeline.asOfText }
            let old = try await place.ask()
            #expect(old.version == 1 && old.asOf < primary.pipeline.asOfText)
            let behind = await #expect(throws: Problem.self) { try await place.ask([("min_version", "2")]) }
            #expect(behind?.type == Problems.behindType)
            async let waiting = place.ask([("min_version", "2")], wait: 120)
            try await eventually { place.service.servers.current.watcher.count == 1 }
            #expect(place.service.servers.current.server == .replica)
            try await place.pauseReplay(false)
            #expect(try await waiting.version == 2)
            try await eventually { try await place.ask().asOf > old.asOf }
        }
    }

    @Test func aReplicaThatIsTooFarBehindIsLeftToCatchUp() async throws {
        try await with(maxDelayMs: 1_000) { place in
            try await place.pauseReplay(true)
            try await place.write(version: 2)
            try await place.settled(on: .primary)
            let answer = try await place.ask([("min_version", "2")])
            #expect(answer.version == 2)
            try await place.pauseReplay(false)
            try await place.settled(on: .replica)
            let caughtUp = try await place.ask([("min_version", "2")], wait: 120)
            #expect(caughtUp.version == 2)
        }
    }

    @Test func whenAServerIsAwayTheOtherOneAnswers() async throws {
        try await with(maxDelayMs: 60_000) { place in
            await place.servers.replica.stop(.immediate, keepingData: true)
            // The answer comes immediately, not only after the choice of the server has changed.
            #expect(try await place.ask().version == 1)
            try await place.settled(on: .primary)
            try await place.servers.replica.start()
            try await place.settled(on: .replica)
            try await eventually { (try? await place.ask())?.version == 1 }
            await place.servers.primary.stop(.immediate, keepingData: true)
            try await eventually {
                guard case .primaryIsAway = place.service.servers.reason else { return false }
                return place.service.servers.current.server == .replica
            }
            #expect(try await place.ask().version == 1)
            try await place.servers.primary.start()
        }
    }

    /// Every loop of both servers makes progress while one server is not available, so the process stays live.
    @Test func allLoopsTurnWhileAServerIsAway() async throws {
        try await with(maxDelayMs: 60_000) { place in
            await place.servers.replica.stop(.immediate, keepingData: true)
            try await place.settled(on: .primary)
            place.turned.forget()
            try await eventually { place.turned.loops == Set(place.service.loops.keys) }
        }
    }
}

/// The loops that have made progress.
private final class TurnedLoops: Sendable {
    private let turned = Mutex<Set<QueryService.WatchedLoop>>([])

    func note(_ turn: QueryService.Turn) {
        switch turn {
        case .loop(let loop): turned.withLock { _ = $0.insert(loop) }
        case .pipeline(let server, _): turned.withLock { _ = $0.insert(.init(.pipeline, server)) }
        case .worker, .answering: break
        }
    }

    func forget() { turned.withLock { $0 = [] } }

    var loops: Set<QueryService.WatchedLoop> { turned.withLock { $0 } }
}
