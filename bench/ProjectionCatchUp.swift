import Foundation
import Kafka
import Migrations
import OrderSummary
import Orders
import Postgres
import Projections
import StreamCore

/// 500,000 lifecycle events in Kafka, caught up by one projection from nothing. The limit is the SQL of the same
/// batches alone, over one connection: read, decoded and folded before the clock starts.
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
        guard let first else { throw BenchError("the projection was done before it was looked at") }
        let seconds = (ContinuousClock.now - first.time) / .seconds(1)
        await connection.close()
        let (peak, processor) = (try projection.peakResidentMiB(), try projection.processorSeconds())
        try projection.stop()

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

/// Orders that are created, confirmed, paid, shipped and delivered, one in ten cancelled instead of paid; so many open
/// at once that an order's next event is some seconds of a busy shop after the one before.
enum LifecycleEvents {
    static let openOrders = 5_000

    static func produce(_ count: Int, to servers: BenchServers) async throws {
        let producer = try Producer(servers.kafka) { _ in }
        var produced = 0
        var generation = 0
        while produced < count {
            // Every open order does its first step, then every one its second, and so on.
            for step in 0..<5 {
                for number in 0..<openOrders where produced < count {
                    guard let event = event(step, ofOrder: generation * openOrders + number) else { continue }
                    try await send(event, through: producer, to: servers)
                    produced += 1
                }
            }
            generation += 1
        }
        try await producer.flush(timeoutMs: 60_000)
        await producer.close(timeoutMs: 10_000)
        let arrived = try await servers.recordsProduced()
        guard arrived == Int64(count) else { throw BenchError("\(arrived) of \(count) events arrived in Kafka") }
    }

    private static func send(
        _ event: OrderEvent, through producer: Producer, to servers: BenchServers
    ) async throws {
        let value = OrderEventEncoder.envelope(event)
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

    /// What happens to the order at this step; nil when its life is over.
    private static func event(_ step: Int, ofOrder order: Int) -> OrderEvent? {
        let id = "order-\(String(order, radix: 36))-2026"
        let money = Money(DecimalAmount(coefficient: Int128(order % 90_000 + 1_000), scale: 2), euro)
        let isCancelled = order % 10 == 9
        switch step {
        case 0: return make(order, step, id, 1, .orderCreated(created(order)))
        case 1: return make(order, step, id, 2, .orderConfirmed)
        case 2 where isCancelled:
            let cancelled = OrderCancelled(reason: "changed my mind", cancelledBy: "customer")
            return make(order, step, id, 3, .orderCancelled(cancelled))
        case 2:
            let payment = PaymentCompleted(orderID: id, money: money, method: "card")
            return make(order, step, "payment-\(id)", 1, .paymentCompleted(payment))
        case _ where isCancelled: return nil
        case 3:
            let shipment = ShipmentCreated(orderID: id, carrier: "DHL", trackingNumber: "JD\(1_000_000 + order)")
            return make(order, step, "shipment-\(id)", 1, .shipmentCreated(shipment))
        default:
            return make(order, step, "shipment-\(id)", 2, .shipmentDelivered(ShipmentDelivered(orderID: id)))
        }
    }

    private static let euro: Currency = {
        guard let euro = Currency("EUR") else { preconditionFailure("EUR is a currency") }
        return euro
    }()

    private static func created(_ order: Int) -> OrderCreated {
        let items = (0..<order % 4 + 1).map { line in
            OrderLine(
                productID: "product-\((order &* 31 &+ line) % 500)", name: "Product \((order &* 31 &+ line) % 500)",
                quantity: Int32(line + 1),
                unitPrice: DecimalAmount(coefficient: Int128(order % 9_000 + 99), scale: 2))
        }
        let address = ShippingAddress(
            name: "Customer \(order % 20_000)", street: "Street \(order % 200)", city: "Hamburg", postalCode: "20095",
            country: "DE")
        return OrderCreated(
            customerID: "customer-\(order % 20_000)", currency: euro, items: items, shippingAddress: address)
    }

    private static func make(
        _ order: Int, _ step: Int, _ aggregate: String, _ sequence: Int64, _ payload: OrderEventPayload
    ) -> OrderEvent {
        let timestamp = Timestamp(microseconds: start + Int64(order) * 1_000 + Int64(step) * 1_000_000)
        return OrderEvent(
            identity: EventIdentity(
                eventID: EventID.random(), eventType: payload.type.rawValue, aggregateID: aggregate,
                sequence: sequence, timestamp: timestamp),
            correlationID: EventID.random().description,
            metadata: EventMetadata(userID: "user-\(order % 997)", source: "bench"), payload: payload)
    }

    /// Today at noon, so that all events are of one day.
    private static let start: Int64 = {
        let now = Int64(Date().timeIntervalSince1970) / 86_400
        return (now * 86_400 + 43_200 - 3_600) * 1_000_000
    }()
}

/// The transactions of the projection, with everything before them done beforehand.
enum SQLAlone {
    private struct Batch {
        let rows: [OrderSummaryRow]
        let events: Int
        let processed: Parameters
        let moves: Parameters
        let moved: Int
    }

    static func eventsPerSecond(on servers: BenchServers) async throws -> Double {
        let batches = try await readBatches(servers)
        var postgres = servers.postgres
        let administrator = try await PostgresConnection.connect(postgres)
        try await administrator.execute(script: "CREATE SCHEMA sql_alone")
        postgres.schema = "sql_alone"
        try await Migrator(postgres).up(["projections", "order-summary"])
        let connection = try await PostgresConnection.connect(postgres)
        try await connection.execute(script: tables)
        let writer = OrderSummaryWriter()
        let start = ContinuousClock.now
        for batch in batches {
            try await connection.withTransaction { transaction in
                let results = try await transaction.pipeline([(move, batch.moves), (remember, batch.processed)])
                guard results[0].affectedRows == batch.moved, results[1].rowCount == batch.events else {
                    throw BenchError("a batch of the SQL alone was not what it should be")
                }
                try await writer.write(batch.rows, in: transaction)
            }
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        await connection.close()
        try await administrator.execute(script: "DROP SCHEMA sql_alone CASCADE; CHECKPOINT", timeoutMs: 600_000)
        await administrator.close()
        return Double(batches.reduce(0) { $0 + $1.events }) / seconds
    }

    private static let tables = """
        INSERT INTO projections (id, name, version, consumer_group) VALUES (1, 'bench', 1, 'bench');
        CREATE TABLE processed_events_1 PARTITION OF processed_events FOR VALUES IN (1) PARTITION BY RANGE (event_day);
        CREATE TABLE processed_events_1_default PARTITION OF processed_events_1 DEFAULT;
        INSERT INTO projection_offsets (projection_id, topic, partition, next_offset)
        SELECT 1, topic, partition, 0 FROM unnest(ARRAY['order', 'payment', 'shipment']) topic,
            generate_series(0, \(BenchServers.partitions - 1)) partition;
        """
    private static let move: Statement = """
        UPDATE projection_offsets AS o SET next_offset = moves.next, updated_at = clock_timestamp()
        FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS moves (topic, partition, expected, next)
        WHERE o.projection_id = 1 AND o.topic = moves.topic AND o.partition = moves.partition
            AND o.next_offset = moves.expected
        """
    private static let remember: Statement = """
        INSERT INTO processed_events_1 (event_id, event_day, projection_id)
        SELECT event_id, event_day, 1 FROM unnest($1::uuid[], $2::date[]) AS events (event_id, event_day)
        ON CONFLICT DO NOTHING RETURNING event_id
        """

    /// Reads all of Kafka in batches as the projection's own, decoded and folded.
    private static func readBatches(_ servers: BenchServers) async throws -> [Batch] {
        let limits = ProjectionRunnerConfiguration(service: "bench")
        let consumer = try Consumer(servers.kafka, group: "bench-sql-alone")
        try await consumer.assign(
            Dictionary(uniqueKeysWithValues: servers.allPartitions.map { ($0, StartOffset.beginning) }))
        var expected: [TopicPartition: Int64] = [:]
        var batches: [Batch] = []
        var read = 0
        while read < ProjectionCatchUp.events {
            let event = try await consumer.poll(
                BatchLimits(maxRecords: limits.batchMaxRecords, maxBytes: limits.batchMaxBytes, maxWaitMs: 10_000))
            guard case .batch(let records) = event else { throw BenchError("the events cannot be read: \(event)") }
            batches.append(try batch(of: records, expected: &expected, servers))
            read += records.count
        }
        await consumer.close(timeoutMs: 5_000)
        return batches
    }

    private static func batch(
        of records: RecordBatch, expected: inout [TopicPartition: Int64], _ servers: BenchServers
    ) throws -> Batch {
        var fold = OrderSummaryFold()
        var (ids, days) = (UUIDArray(), DateArray())
        for record in records {
            guard let value = record.value, case .event(let event) = try OrderEventDecoder.decode(value) else {
                throw BenchError("a record is no event")
            }
            fold.add(event)
            ids.append(event.identity.eventID)
            days.append(day: event.identity.timestamp.day)
        }
        var (topics, numbers, from, next) = (TextArray(), Int32Array(), Int64Array(), Int64Array())
        for (partition, offset) in records.nextOffsets.sorted(by: { $0.key < $1.key }) {
            topics.append(String(partition.topic.dropLast(servers.topicSuffix.count)))
            numbers.append(partition.partition)
            from.append(expected[partition] ?? 0)
            next.append(offset)
            expected[partition] = offset
        }
        return Batch(
            rows: fold.rows, events: records.count,
            processed: Parameters {
                $0.append(ids); $0.append(days)
            },
            moves: Parameters {
                $0.append(topics); $0.append(numbers); $0.append(from); $0.append(next)
            },
            moved: records.nextOffsets.count)
    }
}
