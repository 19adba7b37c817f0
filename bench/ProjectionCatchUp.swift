import Events
import Foundation
import Kafka
import Migrations
import OrderSummary
import Orders
import Postgres
import Projections
import StreamCore

/// One projection starts with nothing and catches up with 500,000 lifecycle events in Kafka. The limit is the SQL of
/// the same batches alone, on one connection. The batches are read, decoded and folded before the clock starts.
enum ProjectionCatchUp {
    static let name = "projection-catch-up"
    static let events = 500_000

    @Sendable static func run(on servers: BenchServers) async throws -> BenchResult {
        try await LifecycleEvents.produce(events, to: servers)
        say("\(events) events are in Kafka")
        let limit = try await SQLAlone.eventsPerSecond(on: servers)
        say("the SQL alone: \(Int(limit)) events/s")

        let projection = try servers.start(
            "order-summary-projection", settings: ["projection.topic_suffix": servers.topicSuffix])
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
        await connection.close()
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
}

/// Orders that are created, confirmed, paid, shipped and delivered. One in ten is cancelled instead of paid. So many
/// orders are open at once that the next event of an order follows after some seconds of a busy shop.
enum LifecycleEvents {
    static let openOrders = 5_000

    /// The products and times of the events.
    enum Variety: Sendable {
        /// Five hundred products, and a thousand orders a second, all today.
        case oneDay
        /// Ten products, otherwise the same.
        case oneDayTenProducts
        /// Five hundred products, and an order every eight seconds of the last ten days, delivered within a day.
        case tenDays

        var products: Int { self == .oneDayTenProducts ? 10 : 500 }

        func time(ofStep step: Int, ofOrder order: Int) -> Timestamp {
            let (order, step) = (Int64(order), Int64(step))
            if self != .tenDays {
                return Timestamp(microseconds: LifecycleEvents.start + order * 1_000 + step * 1_000_000)
            }
            let sinceStart = order * 8 + step * (order % 487 + 1) * 43
            return Timestamp(microseconds: LifecycleEvents.start + (sinceStart - 10 * 86_400) * 1_000_000)
        }
    }

    /// - Parameter firstOrder: the number of the first order. With another number, the events are about other orders.
    static func produce(
        _ count: Int, _ variety: Variety = .oneDay, firstOrder: Int = 0, to servers: BenchServers
    ) async throws {
        let producer = try Producer(servers.kafkaCompressed) { _ in }
        let before = try await servers.recordsProduced()
        var produced = 0
        var generation = 0
        while produced < count {
            // Every open order takes its first step, then every one its second, and so on.
            for step in 0..<5 {
                for number in 0..<openOrders where produced < count {
                    let order = firstOrder + generation * openOrders + number
                    guard let event = event(step, ofOrder: order, variety) else { continue }
                    try await send(event, through: producer, to: servers)
                    produced += 1
                }
            }
            generation += 1
        }
        try await producer.flush(timeoutMs: 60_000)
        await producer.close(timeoutMs: 10_000)
        let arrived = try await servers.recordsProduced() - before
        guard arrived == Int64(count) else { throw BenchError("\(arrived) of \(count) events arrived in Kafka") }
    }

    private static func send(
        _ event: OrderEvent, through producer: Producer, to servers: BenchServers
    ) async throws {
        let value = EventEncoder.envelope(event)
        let topic = event.aggregateType.rawValue.lowercased() + servers.topicSuffix
        let key = Array(event.identity.aggregateID.utf8)
        while true {
            do throws(KafkaError) {
                return try producer.produce(topic: topic, key: key.span, value: value.span, headers: nil, tag: 0)
            } catch {
                guard error.isQueueFull else { throw error }
                await producer.waitForSpace()
            }
        }
    }

    /// The event of the order at this step; nil if the order is finished.
    private static func event(_ step: Int, ofOrder order: Int, _ variety: Variety) -> OrderEvent? {
        let id = "order-\(String(order, radix: 36))-2026"
        let money = Money(DecimalAmount(coefficient: Int128(order % 90_000 + 1_000), scale: 2), euro)
        let isCancelled = order % 10 == 9
        let time = variety.time(ofStep: step, ofOrder: order)
        switch step {
        case 0: return make(order, time, id, 1, .orderCreated(created(order, variety)))
        case 1: return make(order, time, id, 2, .orderConfirmed)
        case 2 where isCancelled:
            let cancelled = OrderCancelled(reason: "changed my mind", cancelledBy: "customer")
            return make(order, time, id, 3, .orderCancelled(cancelled))
        case 2:
            let payment = PaymentCompleted(orderID: id, money: money, method: "card")
            return make(order, time, "payment-\(id)", 1, .paymentCompleted(payment))
        case _ where isCancelled: return nil
        case 3:
            let shipment = ShipmentCreated(orderID: id, carrier: "DHL", trackingNumber: "JD\(1_000_000 + order)")
            return make(order, time, "shipment-\(id)", 1, .shipmentCreated(shipment))
        default:
            return make(order, time, "shipment-\(id)", 2, .shipmentDelivered(ShipmentDelivered(orderID: id)))
        }
    }

    /// An order that is created now, with the given id.
    static func created(_ id: String, at time: Timestamp) -> OrderEvent {
        make(0, time, id, 1, .orderCreated(created(0, .oneDay)))
    }

    private static let euro: Currency = {
        guard let euro = Currency("EUR") else { preconditionFailure("EUR is a currency") }
        return euro
    }()

    private static func created(_ order: Int, _ variety: Variety) -> OrderCreated {
        let items = (0..<order % 4 + 1).map { line in
            let product = (order &* 31 &+ line) % variety.products
            return OrderLine(
                productID: "product-\(product)", name: "Product \(product)", quantity: Int32(line + 1),
                unitPrice: DecimalAmount(coefficient: Int128(order % 9_000 + 99), scale: 2))
        }
        let address = ShippingAddress(
            name: "Customer \(order % 20_000)", street: "Street \(order % 200)", city: "Hamburg", postalCode: "20095",
            country: "DE")
        return OrderCreated(
            customerID: "customer-\(order % 20_000)", currency: euro, items: items, shippingAddress: address)
    }

    private static func make(
        _ order: Int, _ time: Timestamp, _ aggregate: String, _ sequence: Int64, _ payload: OrderEventPayload
    ) -> OrderEvent {
        OrderEvent(
            identity: EventIdentity(
                eventID: EventID.random(), eventType: payload.type.rawValue, aggregateID: aggregate,
                sequence: sequence, timestamp: time),
            correlationID: EventID.random().description,
            metadata: EventMetadata(userID: "user-\(order % 997)", source: "bench"), payload: payload)
    }

    /// Today at noon, so that all events are on one day.
    fileprivate static let start: Int64 = {
        let now = Timestamp.now.microseconds / 86_400_000_000
        return (now * 86_400 + 43_200 - 3_600) * 1_000_000
    }()
}

/// The projection's transactions alone. Everything before them happens before the clock starts.
enum SQLAlone {
    static func eventsPerSecond(
        on servers: BenchServers, events: Int = ProjectionCatchUp.events
    ) async throws -> Double {
        let batches = try await EventBatches.read(events, from: servers) { OrderSummaryFold($0) }
        var postgres = servers.postgres
        let administrator = try await PostgresConnection.connect(postgres)
        try await administrator.execute(script: "CREATE SCHEMA sql_alone")
        postgres.schema = "sql_alone"
        postgres.searchedFirst = ["sql_alone_order_summary_v1"]
        try await Migrator(postgres).up(["projections", "order-summary"])
        let connection = try await PostgresConnection.connect(postgres)
        try await connection.execute(script: EventBatches.tables)
        let writer = OrderSummaryWriter()
        let start = ContinuousClock.now
        for batch in batches {
            try await connection.withTransaction { transaction in
                _ = try await batch.begin(in: transaction, remembering: true)
                try await writer.write(batch.fold, in: transaction)
            }
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        await connection.close()
        try await administrator.execute(
            script: "DROP SCHEMA sql_alone, sql_alone_order_summary_v1 CASCADE; CHECKPOINT", timeoutMs: 600_000)
        await administrator.close()
        return Double(batches.reduce(0) { $0 + $1.events }) / seconds
    }
}
