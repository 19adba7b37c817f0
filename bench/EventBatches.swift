import Events
import Kafka
import Orders
import Postgres
import Projections
import StreamCore

/// The content of a projection's transaction, read from Kafka in batches of the projection's size and folded. All of
/// this happens before the clock of an SQL limit starts.
struct EventBatch<Fold> {
    let fold: Fold
    let events: Int
    fileprivate let processed: Parameters
    fileprivate let moves: Parameters
    fileprivate let partitions: Int

    /// Moves the offsets and stores the event ids, as the runtime does first in every transaction.
    ///
    /// - Parameters:
    ///   - remembering: whether the projection stores event ids.
    ///   - reads: the statements with which the projection reads ahead.
    /// - Returns: the results of `reads`.
    /// - Throws: if the offsets are not the expected ones, or an event was already applied.
    @discardableResult
    func begin(
        in transaction: PostgresTransaction, remembering: Bool, reading reads: [(Statement, Parameters)] = []
    ) async throws -> [QueryResult] {
        var statements = [(EventBatches.move, moves)]
        if remembering { statements.append((EventBatches.remember, processed)) }
        let results = try await transaction.pipeline(statements + reads)
        guard results[0].affectedRows == partitions, !remembering || results[1].rowCount == events else {
            throw BenchError("a batch of the SQL limit had unexpected offsets or events")
        }
        return Array(results.suffix(reads.count))
    }
}

enum EventBatches {
    /// Creates the runtime's own partitions and rows, on the tables of the migration set `projections`.
    static let tables = """
        INSERT INTO projections (id, name, version, consumer_group) VALUES (1, 'bench', 1, 'bench');
        CREATE TABLE processed_events_1 PARTITION OF processed_events FOR VALUES IN (1) PARTITION BY RANGE (event_day);
        CREATE TABLE processed_events_1_default PARTITION OF processed_events_1 DEFAULT;
        \(offsets)
        """
    /// The offsets of all partitions, at their beginning.
    static let offsets = """
        INSERT INTO projection_offsets (projection_id, topic, partition, next_offset)
        SELECT 1, topic, partition, 0 FROM unnest(ARRAY['order', 'payment', 'shipment']) topic,
            generate_series(0, \(BenchServers.manyPartitions - 1)) partition;
        """
    fileprivate static let move: Statement = """
        UPDATE projection_offsets AS o SET next_offset = moves.next, updated_at = clock_timestamp()
        FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS moves (topic, partition, expected, next)
        WHERE o.projection_id = 1 AND o.topic = moves.topic AND o.partition = moves.partition
            AND o.next_offset = moves.expected
        """
    fileprivate static let remember: Statement = """
        INSERT INTO processed_events_1 (event_id, event_day, projection_id)
        SELECT event_id, event_day, 1 FROM unnest($1::uuid[], $2::date[]) AS events (event_id, event_day)
        ON CONFLICT DO NOTHING RETURNING event_id
        """

    /// Time without a record after which reading fails.
    private static let readTimeout = Duration.seconds(60)

    /// Reads `count` events, which must be all events in Kafka.
    static func read<Fold>(
        _ count: Int, from servers: BenchServers, _ fold: ([OrderEvent]) -> Fold
    ) async throws -> [EventBatch<Fold>] {
        try await read(
            count, from: servers,
            decode: { record in
                guard let value = record.value, case .event(let event) = try OrderEventDecoder.decode(value) else {
                    throw BenchError("a record is not an event")
                }
                return (event.identity.eventID, event.identity.timestamp.day, event)
            }, fold)
    }

    /// Reads `count` records of any kind.
    ///
    /// - Parameter decode: returns the event's id, its day, and the event.
    static func read<Event, Fold>(
        _ count: Int, from servers: BenchServers, decode: (RecordView) throws -> (EventID, Int32, Event),
        _ fold: ([Event]) -> Fold
    ) async throws -> [EventBatch<Fold>] {
        let limits = ProjectionRunnerConfiguration(service: "bench")
        let consumer = try Consumer(servers.kafka, group: "bench-sql-alone")
        try await consumer.assign(
            Dictionary(uniqueKeysWithValues: servers.allPartitions.map { ($0, StartOffset.beginning) }))
        var expected: [TopicPartition: Int64] = [:]
        var batches: [EventBatch<Fold>] = []
        var read = 0
        var deadline = ContinuousClock.now + readTimeout
        while read < count {
            let event = try await consumer.poll(
                BatchLimits(maxRecords: limits.batchMaxRecords, maxBytes: limits.batchMaxBytes, maxWaitMs: 10_000))
            guard case .batch(let records) = event else {
                // A new topic may have no leaders for a moment.
                if case .error(let error) = event, !error.isRetriable { throw error }
                guard .now < deadline else { throw BenchError("the events cannot be read: \(event)") }
                continue
            }
            deadline = .now + readTimeout
            batches.append(try batch(of: records, expected: &expected, servers, decode, fold))
            read += records.count
        }
        await consumer.close(timeoutMs: 5_000)
        return batches
    }

    private static func batch<Event, Fold>(
        of records: RecordBatch, expected: inout [TopicPartition: Int64], _ servers: BenchServers,
        _ decode: (RecordView) throws -> (EventID, Int32, Event), _ fold: ([Event]) -> Fold
    ) throws -> EventBatch<Fold> {
        var events: [Event] = []
        var (ids, days) = (UUIDArray(), DateArray())
        for record in records {
            let (id, day, event) = try decode(record)
            events.append(event)
            ids.append(id)
            days.append(day: day)
        }
        var (topics, numbers, from, next) = (TextArray(), Int32Array(), Int64Array(), Int64Array())
        for (partition, offset) in records.nextOffsets.sorted(by: { $0.key < $1.key }) {
            topics.append(String(partition.topic.dropLast(servers.topicSuffix.count)))
            numbers.append(partition.partition)
            from.append(expected[partition] ?? 0)
            next.append(offset)
            expected[partition] = offset
        }
        return EventBatch(
            fold: fold(events), events: records.count,
            processed: Parameters {
                $0.append(ids)
                $0.append(days)
            },
            moves: Parameters {
                $0.append(topics)
                $0.append(numbers)
                $0.append(from)
                $0.append(next)
            },
            partitions: records.nextOffsets.count)
    }
}
