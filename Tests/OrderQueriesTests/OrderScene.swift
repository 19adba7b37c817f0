import Events
import HTTP
import Kafka
import Logging
import OrderShop
import OrderSummary
import Orders
import Postgres
import StreamCore
import Synchronization
import TestKit
import Testing

@testable import OrderQueries

/// The service on a schema of the test, called without an HTTP server.
struct OrderScene {
    let postgres: PostgresConfiguration
    let orders: OrderReads
    let pool: ReadPool

    /// The view that readers use.
    var view: String { "\(postgres.schema).order_summary" }

    static let sets = ["projections", "order-summary", "dashboard"]

    /// Runs a test while the service runs.
    static func with(
        migrating more: [String] = [], fallsBack: Bool = false, pool limits: ReadPoolConfiguration = .init(),
        _ body: (OrderScene) async throws -> Void
    ) async throws {
        try await TestDatabase.withSchema(migrating: sets + more) { postgres in
            // Readers do not select a version.
            var readers = postgres
            readers.searchedFirst = []
            let pool = ReadPool(readers, limits, logger: .silent)
            let watcher = VersionWatcher(readers, maxWaiters: 100)
            let scene = OrderScene(
                postgres: postgres,
                orders: OrderReads(pool: pool, watcher: watcher, fallsBack: fallsBack, maxWaitSeconds: 90),
                pool: pool)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await pool.run() }
                group.addTask { await watcher.run() }
                defer { group.cancelAll() }
                try await body(scene)
            }
        }
    }

    // MARK: rows

    func execute(_ script: String) async throws {
        let connection = try await PostgresConnection.connect(postgres)
        try await connection.execute(script: script)
        await connection.close()
    }

    /// Waits until a session of the server runs this statement.
    func waitUntilRunning(_ sql: String) async throws {
        let connection = try await PostgresConnection.connect(postgres)
        try await eventually {
            try await connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE query = $1 AND state = 'active'",
                Parameters { $0.append(sql) }
            ).int64(0, 0) > 0
        }
        await connection.close()
    }

    /// Inserts orders `order-001` …, one a minute from 2026-05-01 on. The customers `customer-0` to `customer-4` take
    /// turns, amounts repeat, and two of three orders are delivered.
    func seed(_ count: Int) async throws {
        try await execute(
            """
            INSERT INTO order_summary_rows (order_id, version, updated_at, last_event_id, items, item_count, total_amount,
                created, delivered)
            SELECT 'order-' || lpad(i::text, 3, '0'), 1, t, gen_random_uuid(),
                '[{"productId":"p\\"1","name":"Café","quantity":2,"unitPrice":"1.50","sequence":1}]', 2, i % 7 + 0.50,
                ROW(t, gen_random_uuid(), 'customer-' || i % 5, 'EUR',
                    '{"name":"J","street":"S","city":"Köln","postalCode":"1","country":"DE"}')::order_summary_created,
                CASE WHEN i % 3 <> 0 THEN ROW(t, gen_random_uuid(), 's')::order_summary_delivered END
            FROM (SELECT i, '2026-05-01T00:00:00Z'::timestamptz + i * interval '1 minute' AS t
                FROM generate_series(1, \(count)) AS i) AS s;
            -- A payment whose order nobody has told of yet: it is found by its id, and in no list.
            INSERT INTO order_summary_rows (order_id, version, updated_at, last_event_id, paid)
            VALUES ('early', 0, now(), gen_random_uuid(),
                ROW(now(), gen_random_uuid(), 'pay', 3.00, 'EUR', 'card')::order_summary_payment);
            """)
    }

    /// Plays the demo shop and applies its events to the read model.
    func play(orders: Int) async throws {
        var configuration = ShopLoad.Configuration()
        configuration.orders = orders
        configuration.ordersPerSecond = 0
        configuration.connections = 2
        configuration.customers = 10
        try await ShopLoad(configuration, database: postgres).run()
    }

    func project() async throws {
        let connection = try await PostgresConnection.connect(postgres)
        let rows = try await connection.execute(
            """
            SELECT json_build_object('eventId', event_id, 'eventType', event_type, 'aggregateId', aggregate_id,
                'aggregateType', aggregate_type, 'sequence', sequence,
                'timestamp', to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                'version', version, 'correlationId', correlation_id, 'metadata', metadata, 'payload', payload)::text
            FROM outbox ORDER BY id
            """)
        var fold = OrderSummaryFold()
        for row in 0..<rows.rowCount {
            let decoded = try OrderEventDecoder.decode(Array(try rows.string(row, 0).utf8).span)
            if case .event(let event) = decoded { fold.add(event) }
        }
        try await connection.withTransaction { transaction in
            try await OrderSummaryWriter().write(fold, in: transaction)
        }
        await connection.close()
    }

    // MARK: requests

    func order(
        _ id: String, _ query: [(String, String)] = [], headers: [(String, String)] = []
    ) async throws -> HTTPResponse {
        try await orders.order(
            HTTPRequest(
                path: "/v1/orders/\(id)", parameters: [(name: "id", value: id)],
                query: query.map { (name: $0.0, value: $0.1) }, headers: headers.map { (name: $0.0, value: $0.1) }))
    }

    func list(_ query: [(String, String)]) async throws -> HTTPResponse {
        try await orders.orders(HTTPRequest(path: "/v1/orders", query: query.map { (name: $0.0, value: $0.1) }))
    }

    /// All ids of a list, read page by page.
    func all(_ query: [(String, String)]) async throws -> [String] {
        var ids: [String] = []
        var cursor: String?
        repeat {
            let response = try await list(query + (cursor.map { [("cursor", $0)] } ?? []))
            let page = response.text
            ids += page.matches(of: #/"orderId":"([^"]*)"/#).map { String($0.1) }
            cursor = page.firstMatch(of: #/"next":"([^"]*)"/#).map { String($0.1) }
            #expect((cursor != nil) == response.headers.contains { $0.name == "Link" })
        } while cursor != nil && ids.count < 10_000
        return ids
    }
}

extension HTTPResponse {
    var text: String {
        guard case .bytes(let bytes) = body else { return "" }
        return String(decoding: bytes, as: UTF8.self)
    }

    func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
}

extension Logger {
    static var silent: Logger { Logger(label: "silent") { _ in SwiftLogNoOpLogHandler() } }
}
