import Foundation
import Kafka
import Migrations
import Postgres
import Projections
import ReadModels
import SQLProjections
import StreamCore

/// A projection in a folder of SQL starts with nothing and catches up with lifecycle events in Kafka. The limit is the
/// SQL of its transactions alone, on one connection. The records are read, decoded and put into parameters before the
/// clock starts.
struct SQLProjectionBench: Sendable {
    /// One statement for each type and batch, 500,000 events. The limit uses the same batches.
    static let batch = SQLProjectionBench(
        name: "sql-projection", events: 500_000, mode: .batch, eventsPerTransaction: nil, measured: .max)
    /// One statement for each event, 100,000 events. The limit uses a transaction for each event, like a consumer
    /// without batches.
    static let event = SQLProjectionBench(
        name: "sql-projection-event", events: 100_000, mode: .event, eventsPerTransaction: 1, measured: 5_000)

    let name: String
    let events: Int
    let mode: ProjectionMode
    /// The number of events in each transaction of the limit; nil for the runtime's batches.
    let eventsPerTransaction: Int?
    /// The number of events with which the limit is measured.
    let measured: Int

    @Sendable func run(on servers: BenchServers) async throws -> BenchResult {
        try await Migrator(servers.postgres).up(["sql-projections"])
        try await LifecycleEvents.produce(events, to: servers)
        say("\(events) events are in Kafka")
        let path = try writeFolder(servers)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let limit = try await sqlAlone(ProjectionFolder(path: path), servers)
        say("the SQL alone: \(Int(limit)) events/s")

        let projection = try servers.start("sql-projection", settings: ["sql_projections.folders": path])
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
        let rows = try await connection.execute(
            "SELECT coalesce(sum(events), 0)::bigint FROM bench_orders_v1.orders"
        ).int64(0, 0)
        await connection.close()
        guard rows == Int64(events) else { throw BenchError("\(rows) of \(events) events are in the read model") }
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

    // MARK: the folder

    /// Writes a folder whose table has one row for each order. Events of payments and shipments contain the id of their
    /// order.
    private func writeFolder(_ servers: BenchServers) throws -> String {
        let path = FileManager.default.temporaryDirectory
            .appending(path: "millrace-bench-folder-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let topics = servers.topics.map { "\"\($0)\"" }.joined(separator: ", ")
        var files = [
            "projection.toml": """
            [projection]
            name = "bench-orders"
            topics = [\(topics)]
            mode = "\(mode.rawValue)"
            order = "key"
            """,
            "schema.sql": """
            CREATE TABLE orders (
                order_id text PRIMARY KEY, customer text, total numeric, confirmed_at timestamptz,
                cancelled_at timestamptz, paid numeric, shipped_at timestamptz, delivered_at timestamptz,
                events bigint NOT NULL
            ) WITH (fillfactor = 70);
            """,
        ]
        for (type, columns) in Self.columns {
            files[type + ".sql"] = mode == .batch ? Self.batchStatement(columns) : Self.eventStatement(columns)
        }
        for (name, text) in files {
            try text.write(toFile: path + "/" + name, atomically: true, encoding: .utf8)
        }
        return path
    }

    /// For each type the columns that it sets, and their values.
    private static let columns: [(type: String, columns: [(name: String, value: String)])] = [
        (
            "OrderCreated",
            [
                ("customer", "E.payload ->> 'customerId'"),
                (
                    "total",
                    """
                    (SELECT sum((item ->> 'unitPrice')::numeric * (item ->> 'quantity')::int) \
                    FROM jsonb_array_elements(E.payload -> 'items') AS item)
                    """
                ),
            ]
        ), ("OrderConfirmed", [("confirmed_at", "E.occurred_at")]),
        ("OrderCancelled", [("cancelled_at", "E.occurred_at")]),
        ("PaymentCompleted", [("paid", "(E.payload ->> 'amount')::numeric")]),
        ("ShipmentCreated", [("shipped_at", "E.occurred_at")]),
        ("ShipmentDelivered", [("delivered_at", "E.occurred_at")]),
    ]

    private static func batchStatement(_ columns: [(name: String, value: String)]) -> String {
        let values = columns.map { $0.value.replacing("E.", with: "e.") }.joined(separator: ", ")
        return """
            INSERT INTO orders AS o (order_id, \(columns.map(\.name).joined(separator: ", ")), events)
            SELECT coalesce(e.payload ->> 'orderId', e.aggregate_id), \(values), 1 FROM events AS e
            \(conflict(columns))
            """
    }

    private static func eventStatement(_ columns: [(name: String, value: String)]) -> String {
        let values = columns.map { $0.value.replacing("E.", with: ":") }.joined(separator: ", ")
        return """
            INSERT INTO orders AS o (order_id, \(columns.map(\.name).joined(separator: ", ")), events)
            VALUES (coalesce(:payload ->> 'orderId', :aggregate_id), \(values), 1)
            \(conflict(columns))
            """
    }

    private static func conflict(_ columns: [(name: String, value: String)]) -> String {
        let sets = columns.map { "\($0.name) = excluded.\($0.name)" }.joined(separator: ", ")
        return "ON CONFLICT (order_id) DO UPDATE SET \(sets), events = o.events + 1"
    }

    // MARK: the limit

    private func sqlAlone(_ folder: ProjectionFolder, _ servers: BenchServers) async throws -> Double {
        let version = VersionSchema(folder, isIsolated: false)
        let administrator = try await PostgresConnection.connect(servers.postgres)
        try await version.prepare(administrator)
        let projection = version.projection
        var postgres = servers.postgres
        try await administrator.execute(script: "CREATE SCHEMA sql_alone")
        postgres.schema = "sql_alone"
        try await Migrator(postgres).up(["projections"])
        let connection = try await PostgresConnection.connect(postgres)
        try await connection.execute(script: EventBatches.tables)
        let rate: Double
        if let eventsPerTransaction {
            rate = try await naive(projection, eventsPerTransaction, connection, servers)
        } else {
            rate = try await batches(projection, connection, servers)
        }
        await connection.close()
        try await version.readModel.dropAll(on: administrator)
        try await administrator.execute(script: "DROP SCHEMA sql_alone CASCADE; CHECKPOINT", timeoutMs: 600_000)
        await administrator.close()
        return rate
    }

    private func decode(
        _ record: RecordView, _ projection: SQLProjection
    ) throws -> (EventID, Int32, (EventIdentity, SQLEvent)) {
        guard case .event(let identity, let event) = try projection.decode(record) else {
            throw BenchError("a record is not an event")
        }
        return (identity.eventID, identity.timestamp.day, (identity, event))
    }

    /// Measures the runtime's own transactions.
    private func batches(
        _ projection: SQLProjection, _ connection: PostgresConnection, _ servers: BenchServers
    ) async throws -> Double {
        let batches = try await EventBatches.read(events, from: servers, decode: { try decode($0, projection) }) {
            events in projection.statements(for: events.map(\.1))
        }
        let start = ContinuousClock.now
        for batch in batches {
            try await connection.withTransaction { transaction in
                try await batch.begin(in: transaction, remembering: true)
                _ = try await transaction.pipeline(batch.fold)
            }
        }
        return Double(batches.reduce(0) { $0 + $1.events }) / ((ContinuousClock.now - start) / .seconds(1))
    }

    private static let remember: Statement = """
        INSERT INTO processed_events_1 (event_id, event_day, projection_id) VALUES ($1, $2, 1) ON CONFLICT DO NOTHING
        """
    private static let advance: Statement = """
        UPDATE projection_offsets SET next_offset = next_offset + 1, updated_at = clock_timestamp()
        WHERE projection_id = 1 AND topic = 'order' AND partition = 0
        """

    /// Measures a transaction for each event, sent in one round trip, like a consumer without batches.
    private func naive(
        _ projection: SQLProjection, _ eventsPerTransaction: Int, _ connection: PostgresConnection,
        _ servers: BenchServers
    ) async throws -> Double {
        let batches = try await EventBatches.read(events, from: servers, decode: { try decode($0, projection) }) {
            $0
        }
        let chosen = batches.flatMap(\.fold).prefix(measured)
        let transactions = chosen.map { identity, event in
            let memory = Parameters {
                $0.append(identity.eventID)
                $0.append(day: identity.timestamp.day)
            }
            return [(Self.advance, Parameters()), (Self.remember, memory)] + projection.statements(for: [event])
        }
        let start = ContinuousClock.now
        for statements in transactions {
            try await connection.withTransaction { _ = try await $0.pipeline(statements) }
        }
        return Double(transactions.count * eventsPerTransaction) / ((ContinuousClock.now - start) / .seconds(1))
    }
}
