import Foundation
import Migrations
import Postgres
import SQLProjections

/// CreateOrder over HTTP with one read model that commands update. The ratio compares the command service's rate with
/// its rate without the read model. Both are measured alternately on the same database.
enum InlineCommandBench {
    static let name = "commands-inline"
    private static let connections = 32
    private static let seconds = 5
    private static let rounds = 3

    @Sendable static func run(on servers: BenchServers) async throws -> BenchResult {
        try await Migrator(servers.postgres).up(["commands", "projections", "sql-projections"])
        try await takeOver(servers)
        let service = try await CommandServiceUnderLoad.start(on: servers)
        let client = try LoadClient(
            port: service.port, connections: connections,
            requests: (0..<10_000).map { CommandServiceUnderLoad.createOrder(customer: $0 % 1_000) })
        _ = try await client.run(warmUp: .seconds(2), measured: .seconds(1))
        var (with, without) = (0.0, 0.0)
        var result = BenchResult(name: name)
        result.events = 0
        for _ in 0..<rounds {
            for isKept in [true, false] {
                try await keep(isKept, servers)
                let outcome = try await client.run(warmUp: .seconds(1), measured: .seconds(seconds))
                guard outcome.refusals.isEmpty else {
                    throw BenchError("\(name): answers that are not 2xx: \(outcome.refusals)")
                }
                if isKept {
                    with += outcome.perSecond / Double(rounds)
                    result.events? += outcome.requests
                    result.take(outcome.latencies)
                } else {
                    without += outcome.perSecond / Double(rounds)
                }
            }
        }
        try await check(servers)
        result.seconds = Double(seconds * rounds)
        result.eventsPerS = with
        result.limitPerS = without
        result.ratio = with / without
        result.peakRssMib = try service.process.peakResidentMiB()
        try await service.process.stop()
        return result
    }

    /// Creates the version and hands it over before there are events.
    private static func takeOver(_ servers: BenchServers) async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "millrace-bench-folder-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: path) }
        let files = [
            "projection.toml": """
            [projection]
            name = "bench-inline"
            topics = ["order\(servers.topicSuffix)"]
            """,
            "schema.sql": """
            CREATE TABLE orders (order_id text PRIMARY KEY, customer text, total numeric, created_at timestamptz NOT NULL);
            CREATE INDEX ON orders (customer);
            """,
            "OrderCreated.sql": """
            INSERT INTO orders
            SELECT aggregate_id, payload ->> 'customerId', (payload ->> 'totalAmount')::numeric, occurred_at FROM events
            ON CONFLICT (order_id) DO NOTHING;
            """,
        ]
        for (name, text) in files {
            try text.write(to: path.appending(path: name), atomically: true, encoding: .utf8)
        }
        let version = VersionSchema(try ProjectionFolder(path: path.path), isIsolated: true)
        let connection = try await PostgresConnection.connect(servers.postgres)
        try await version.prepare(connection)
        await connection.close()
        _ = try await InlineTakeover(
            version, servers.postgres, kafka: servers.kafka, topicSuffix: servers.topicSuffix
        ).run()
    }

    /// Selects whether commands update the version. The events that they leave out do not matter here.
    private static func keep(_ isKept: Bool, _ servers: BenchServers) async throws {
        let connection = try await PostgresConnection.connect(servers.postgres)
        if isKept {
            try await connection.execute(
                "INSERT INTO inline_projections (name, version, topic_suffix) VALUES ('bench-inline', 1, $1) ON CONFLICT DO NOTHING",
                Parameters { $0.append(servers.topicSuffix) })
        } else {
            try await connection.execute("DELETE FROM inline_projections")
        }
        await connection.close()
    }

    private static func check(_ servers: BenchServers) async throws {
        let connection = try await PostgresConnection.connect(servers.postgres)
        let rows = try await connection.execute("SELECT count(*) FROM bench_inline_v1.orders").int64(0, 0)
        let orders = try await connection.execute("SELECT count(*) FROM orders").int64(0, 0)
        await connection.close()
        guard rows > 0, rows < orders else {
            throw BenchError("\(name): \(rows) of \(orders) orders are in the read model")
        }
    }
}
