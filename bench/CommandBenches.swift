import Foundation
import Migrations
import Postgres

/// CreateOrder over HTTP: the number of commands that the command service carries out in a second. The limit is the
/// rate of pgbench on the same database, with the same statements and as many connections, immediately before and
/// after. Then the bench measures the latency at half the service's rate.
enum CommandBench {
    static let name = "commands"
    private static let connections = 32
    private static let seconds = 10

    @Sendable static func run(on servers: BenchServers) async throws -> BenchResult {
        let service = try await CommandServiceUnderLoad.start(on: servers)
        let pgbench = PgBench(
            script: script, connections: connections, settings: ["jit": "off", "synchronous_commit": "on"])
        let client = try LoadClient(
            port: service.port, connections: connections,
            requests: (0..<10_000).map { CommandServiceUnderLoad.createOrder(customer: $0 % 1_000) })
        let warm = try await client.run(warmUp: .seconds(2), measured: .seconds(1))
        // Enough transactions for about half of the seconds.
        let transactions = Int(warm.perSecond * 1.5) * seconds / 2
        var limit = try pgbench.perSecond(on: servers.postgres, statements: transactions)
        let closed = try await client.run(warmUp: .seconds(1), measured: .seconds(seconds))
        limit = (limit + (try pgbench.perSecond(on: servers.postgres, statements: transactions))) / 2
        let paced = try await client.run(
            warmUp: .seconds(1), measured: .seconds(seconds), rate: closed.perSecond / 2)
        for outcome in [closed, paced] where !outcome.refusals.isEmpty {
            throw BenchError("\(name): answers that are not 2xx: \(outcome.refusals)")
        }
        var result = BenchResult(name: name)
        result.events = closed.requests
        result.seconds = closed.seconds
        result.eventsPerS = closed.perSecond
        result.limitPerS = limit
        result.ratio = closed.perSecond / limit
        result.peakRssMib = try service.process.peakResidentMiB()
        result.take(paced.latencies)
        try await service.process.stop()
        return result
    }

    /// The transaction that the service runs for one command. pgbench has no UUIDs, so the database generates them.
    private static let script = """
        \\set customer random(0, 999)
        \\set n random(1, 9000000000000000)
        BEGIN;
        SELECT order_id, status, version FROM orders WHERE order_id = 'pgbench-' || :n FOR UPDATE;
        SELECT customer_id FROM customers WHERE customer_id = 'customer-' || :customer FOR KEY SHARE;
        INSERT INTO orders (order_id, customer_id, status, currency, total_amount, shipping_address, version, created_at, \
        updated_at, last_event_id) VALUES ('pgbench-' || :n, 'customer-' || :customer, 'created', 'EUR', 25.00, \
        '{"name":"Ada","street":"Main Street 1","city":"Berlin","postalCode":"10115","country":"DE"}', 1, now(), now(), \
        gen_random_uuid());
        INSERT INTO order_items (order_id, product_id, name, quantity, unit_price) \
        VALUES ('pgbench-' || :n, 'product-1', 'Cup', 2, 12.50);
        INSERT INTO outbox (event_id, event_type, aggregate_type, aggregate_id, sequence, occurred_at, version, \
        correlation_id, metadata, payload) VALUES (gen_random_uuid(), 'OrderCreated', 'Order', 'pgbench-' || :n, 1, now(), \
        1, gen_random_uuid()::text, '{"source":"pgbench"}', '{"customerId":"customer-1","currency":"EUR","items":\
        [{"productId":"product-1","name":"Cup","quantity":2,"unitPrice":"12.50"}],"totalAmount":"25.00","shippingAddress":\
        {"name":"Ada","street":"Main Street 1","city":"Berlin","postalCode":"10115","country":"DE"}}');
        COMMIT;
        """
}

/// One client creates an order and immediately requests its version from the query service. The ratio compares the
/// median of both requests with the median of the command alone.
enum CommandToRead {
    static let name = "command-to-read"
    private static let orders = 1_000

    @Sendable static func run(on servers: BenchServers) async throws -> BenchResult {
        let relay = try servers.start("outbox-relay", settings: ["relay.topic_suffix": servers.topicSuffix])
        let projection = try servers.start(
            "order-summary-projection",
            settings: ["projection.topic_suffix": servers.topicSuffix, "kafka.properties.fetch.wait.max.ms": "1"])
        let queries = try await QueryServiceUnderLoad.start(on: servers)
        let service = try await CommandServiceUnderLoad.start(on: servers)
        let (commands, reads) = (try RequestClient(port: service.port), try RequestClient(port: queries.port))
        var (alone, both) = (Latencies(), Latencies())
        // The pipeline is warm after some orders have passed through it.
        for number in -100..<orders {
            let start = ContinuousClock.now
            let created = try await commands.send(CommandServiceUnderLoad.createOrder(customer: (number + 100) % 1_000))
            guard created.status == 201, let link = created.body.firstMatch(of: #/"status":\{"href":"([^"]*)"/#) else {
                throw BenchError("\(name): \(created.body)")
            }
            let read = try await reads.get(String(link.1), headers: "Prefer: wait=10\r\n")
            guard read.status == 200 else { throw BenchError("\(name): \(read.body)") }
            if number < 0 { continue }
            alone.record(created.instant - start)
            both.record(read.instant - start)
        }
        var result = BenchResult(name: name)
        result.events = orders
        if let long = both.milliseconds(atQuantile: 0.5), let short = alone.milliseconds(atQuantile: 0.5) {
            result.ratio = long / short
        }
        result.peakRssMib = try service.process.peakResidentMiB()
        result.take(both)
        for process in [service.process, queries.process, projection, relay] { try await process.stop() }
        return result
    }
}

/// The real daemon with a port, on a database with a thousand customers.
struct CommandServiceUnderLoad {
    let process: DaemonProcess
    let port: Int

    static func start(on servers: BenchServers) async throws -> Self {
        try await Migrator(servers.postgres).up(["commands"])
        let connection = try await PostgresConnection.connect(servers.postgres)
        try await connection.execute(
            script: """
                INSERT INTO customers SELECT 'customer-' || n, 'Ada', 'ada@example.com', 'DE' FROM generate_series(0, 999) AS n
                """)
        await connection.close()
        let port = try ClientSocket.freePort()
        let process = try servers.start(
            "command-service", settings: ["http.port": "\(port)", "commands.domains": "orders"])
        try await servers.wait("command service", within: .seconds(30), every: .milliseconds(20)) {
            guard process.isRunning else { throw BenchError("the command service has ended") }
            guard let client = try? RequestClient(port: port) else { return false }
            return try await client.get("/v1/orders/none").status == 404
        }
        return Self(process: process, port: port)
    }

    /// A request to create an order.
    static func createOrder(customer: Int) -> [UInt8] {
        let body = """
            {"customerId":"customer-\(customer)","currency":"EUR","items":[{"productId":"product-1","name":"Cup",\
            "quantity":2,"unitPrice":"12.50"}],"shippingAddress":{"name":"Ada","street":"Main Street 1","city":"Berlin",\
            "postalCode":"10115","country":"DE"}}
            """
        return Array(
            """
            POST /v1/orders HTTP/1.1\r
            Host: 127.0.0.1\r
            Content-Type: application/json\r
            Content-Length: \(body.utf8.count)\r
            \r
            \(body)
            """.utf8)
    }
}
