import CommandKit
import Commands
import Events
import InventoryCommands
import Kafka
import Logging
import OrderCommands
import OrderProcess
import Orders
import Postgres
import ProcessManagers
import Projections
import StreamCore
import Synchronization
import TestKit

/// The shop's tables, a bus for its commands, topics, and the process of orders.
final class ProcessScene: Sendable {
    let shop: CommandScene
    let clock = TestClock()
    private let rules: OrderProcessRules
    /// Applies the events to the read models that commands update.
    private let readModels: (any InlineReadModels)?
    private let suffix: String
    private let kafka: KafkaClientConfiguration
    private let producer: Producer
    private let published = Mutex<Set<EventID>>([])

    static let logger: Logger = {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }()

    /// - Parameter pieces: number of pieces of the product `p` in stock.
    static func with(
        pieces: Int32, _ change: (inout OrderProcessRules) -> Void = { _ in },
        readModels: (any InlineReadModels)? = nil, _ body: (ProcessScene) async throws -> Void
    ) async throws {
        let suffix = "-" + TestKafka.uniqueName("process")
        var rules = OrderProcessRules()
        change(&rules)
        try await TestKafka.withTopics(named: ["order\(suffix)", "payment\(suffix)"], partitions: 3) {
            try await CommandScene.with(
                [
                    OrderCommands.domain(OrderPolicy()), PaymentCommands.domain(.standard), ShipmentCommands.domain,
                    InventoryCommands.domain,
                ],
                migrating: ["projections", "processes"],
                script: "INSERT INTO customers SELECT 'c', 'name', 'mail', 'DE'"
            ) { shop in
                let kafka = try TestKafka.clientConfiguration()
                let scene = try ProcessScene(
                    shop: shop, rules: rules, readModels: readModels, suffix: suffix, kafka: kafka)
                _ = try await shop.send(ReceiveStock(productID: "p", quantity: pieces))
                try await body(scene)
            }
        }
    }

    private init(
        shop: CommandScene, rules: OrderProcessRules, readModels: (any InlineReadModels)?, suffix: String,
        kafka: KafkaClientConfiguration
    ) throws {
        self.readModels = readModels
        self.shop = shop
        self.rules = rules
        self.suffix = suffix
        self.kafka = kafka
        producer = try Producer(kafka, onDelivery: { _ in })
    }

    // MARK: the shop

    /// Creates and confirms an order at 20 € for each piece.
    func confirm(_ orderID: String, pieces: Int32 = 1, tenant: String? = nil) async throws {
        let line = OrderLine(
            productID: "p", name: "p", quantity: pieces, unitPrice: DecimalAmount(coefficient: 20, scale: 0))
        let request = CommandRequest(metadata: EventMetadata(tenantID: tenant), correlationID: "visit-\(orderID)")
        let order = OrderCreated(
            customerID: "c", currency: ShopCurrency.euro, items: [line],
            shippingAddress: ShippingAddress(name: "A", street: "B", city: "C", postalCode: "D", country: "DE"))
        _ = try await shop.send(CreateOrder(orderID: orderID, order: order), request)
        _ = try await shop.send(ConfirmOrder(orderID: orderID), request)
    }

    /// Captures the payment as the provider does.
    func capture(_ orderID: String, pieces: Int32 = 1) async throws -> String {
        let money = Money(DecimalAmount(coefficient: Int128(20 * pieces), scale: 0), ShopCurrency.euro)
        return try await shop.send(
            CapturePayment(paymentID: OrderProcessPolicy.paymentID(of: orderID), money: money))
    }

    // MARK: the process

    var engine: ProcessEngine<OrderProcessPolicy> {
        get throws {
            let clock = clock
            return ProcessEngine(
                OrderProcessPolicy(rules, topicSuffix: suffix),
                try OrderProcessCommands.executor(readModels: readModels)
            ) { clock.now }
        }
    }

    /// Runs the process and its deadlines while `body` runs.
    func running(_ body: () async throws -> Void) async throws {
        let engine = try engine
        var configuration = ProjectionRunnerConfiguration(service: suffix)
        configuration.backoffCeilingMs = 500
        let runner = ProjectionRunner(
            projection: ProcessProjection(engine), configuration: configuration, postgres: shop.database, kafka: kafka,
            logger: Self.logger)
        let deadlines = ProcessDeadlines(engine, postgres: shop.database, pollMs: 20, logger: Self.logger)
        let work = Task { try await runner.run() }
        let watch = Task { await deadlines.run() }
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        work.cancel()
        watch.cancel()
        await watch.value
        try await work.value
        try result.get()
    }

    /// Publishes the rows of the outbox that were not published yet.
    ///
    /// - Parameters:
    ///   - times: how often each row is published, one after the other.
    ///   - again: whether the rows that were published before are published once more.
    func publish(times: Int = 1, again: Bool = false) async throws {
        let rows = try await PostgresConnection.with(shop.database) { try await $0.execute(Self.envelopes) }
        for row in 0..<rows.rowCount {
            let id = try rows.eventID(row, 0)
            let isNew = published.withLock { $0.insert(id).inserted }
            guard isNew || again else { continue }
            let topic = try rows.string(row, 1).lowercased() + suffix
            guard topic.hasPrefix("order") || topic.hasPrefix("payment") else { continue }
            let key = Array(try rows.string(row, 2).utf8)
            let value = Array(try rows.string(row, 3).utf8)
            for _ in 0..<times { try await producer.send(topic: topic, key: key, value: value) }
        }
    }

    private static let envelopes: Statement = """
        SELECT event_id, aggregate_type, aggregate_id, json_build_object(
            'eventId', event_id, 'eventType', event_type, 'aggregateId', aggregate_id,
            'aggregateType', aggregate_type, 'sequence', sequence,
            'timestamp', to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'version', version, 'correlationId', correlation_id, 'causationId', causation_id,
            'metadata', metadata, 'payload', payload)::text
        FROM outbox ORDER BY id
        """

    /// The events of the outbox as the projection receives them.
    func events(_ types: String...) async throws -> [OrderEvent] {
        let rows = try await PostgresConnection.with(shop.database) { try await $0.execute(Self.envelopes) }
        return try (0..<rows.rowCount).compactMap { row in
            guard ["Order", "Payment"].contains(try rows.string(row, 1)),
                case .event(let event) = try OrderEventDecoder.decode(try rows.textBytes(row, 3)),
                types.isEmpty || types.contains(event.type.rawValue)
            else { return nil }
            return event
        }
    }

    /// Applies events in one transaction, as a runner does.
    ///
    /// - Parameter last: called before COMMIT.
    func apply(_ events: [OrderEvent], last: () throws -> Void = {}) async throws {
        let projection = ProcessProjection(try engine)
        try await PostgresConnection.with(shop.database) { connection in
            try await connection.withTransaction { transaction in
                try await projection.apply(events, in: transaction)
                try last()
            }
        }
    }

    /// Sets the format of a process's state. A format that this release does not know makes the state unreadable.
    func setFormat(of processID: String, to format: Int) async throws {
        try await shop.connection.execute(
            script: "UPDATE processes SET state_format = \(format) WHERE process_id = '\(processID)'")
    }

    func passDeadlines() async throws -> Int {
        let deadlines = ProcessDeadlines(try engine, postgres: shop.database, pollMs: 1_000, logger: Self.logger)
        return try await PostgresConnection.with(shop.database) { try await deadlines.pass(on: $0) }
    }

    // MARK: checking

    /// The rows of a query. The columns may have any type and are joined by spaces.
    func rows(_ sql: String) async throws -> [String] {
        try await shop.rows(
            """
            SELECT (SELECT string_agg(coalesce(value, '∅'), ' ' ORDER BY n)
                FROM json_each_text(row_to_json(q)) WITH ORDINALITY AS c (name, value, n))
            FROM (\(sql)) AS q
            """)
    }

    /// Each stage with the number of processes in it.
    func stages() async throws -> [String] {
        try await rows("SELECT stage, count(*) FROM processes GROUP BY stage ORDER BY stage")
    }

    /// All violations of the rules that hold for every order; empty if there are none.
    func inconsistencies() async throws -> [String] {
        try await rows(
            """
            SELECT 'shipped and cancelled', o.order_id FROM orders AS o JOIN shipments USING (order_id)
                WHERE o.status = 'cancelled'
            UNION ALL SELECT 'shipped twice', order_id FROM shipments GROUP BY order_id HAVING count(*) > 1
            UNION ALL SELECT 'reserved for a cancelled order', o.order_id FROM orders AS o
                JOIN inventory_reservations USING (order_id) WHERE o.status = 'cancelled'
            UNION ALL SELECT 'captured and not shipped', p.order_id FROM payments AS p
                WHERE p.status = 'completed' AND p.order_id NOT IN (SELECT order_id FROM shipments)
            UNION ALL SELECT 'money of a cancelled order', o.order_id
                FROM orders AS o JOIN payments AS p USING (order_id) WHERE o.status = 'cancelled' AND (p.status = 'authorized'
                    OR p.completed_at IS NOT NULL AND p.refunded_amount IS DISTINCT FROM p.amount)
            UNION ALL SELECT 'stock that is gone without a shipment', i.product_id FROM inventory AS i
                WHERE i.reserved <> (SELECT coalesce(sum(quantity), 0) FROM inventory_reservations AS r
                    WHERE r.product_id = i.product_id)
            UNION ALL SELECT 'an event twice', aggregate_id || ' ' || sequence FROM outbox
                GROUP BY aggregate_type, aggregate_id, sequence HAVING count(*) > 1
            UNION ALL SELECT 'a state without its events', p.payment_id FROM payments AS p
                WHERE p.version <> (SELECT count(*) FROM outbox AS e WHERE e.aggregate_type = 'Payment'
                    AND e.aggregate_id = p.payment_id)
            """)
    }
}

/// A clock that only moves when a test moves it.
final class TestClock: Sendable {
    private let time = Mutex(Timestamp.now)

    var now: Timestamp { time.withLock { $0 } }

    func advance(seconds: Int64) {
        time.withLock { $0 = Timestamp(microseconds: $0.microseconds + seconds * 1_000_000) }
    }
}
