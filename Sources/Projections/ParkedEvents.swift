internal import Kafka
internal import Letters
internal import Postgres
internal import StreamCore

/// The statements on parked events: table `parked_events`.
struct ParkedEvents: Sendable {
    let projectionID: Int16

    /// A row to insert.
    struct Row: Sendable {
        let origin: RecordOrigin
        /// The key that the row blocks; nil if it blocks none.
        let key: [UInt8]?
        let eventID: EventID?
        let day: Int32?
        let reason: Letter.Reason
        let errorClass: String?
        var delivery = 1

        /// The sequence that the row blocks.
        var sequence: SequenceKey? { key.map { SequenceKey(topic: origin.partition.topic, key: $0) } }
    }

    /// A delivery of a parked event that has been handled.
    struct Handled: Sendable, Equatable {
        let origin: RecordOrigin
        let delivery: Int
    }

    // MARK: looking up

    /// The first rows of each sequence, by position. ``rows(in:of:)`` reads the result.
    ///
    /// - Parameter limits: the sequences, and the maximum number of rows of each.
    func first(of limits: [(key: SequenceKey, limit: Int32)]) -> (Statement, Parameters) {
        var topics = TextArray()
        var keys = ByteaArray()
        var counts = Int32Array()
        for (key, limit) in limits {
            topics.append(key.topic)
            keys.append(key.key)
            counts.append(limit)
        }
        let parameters = Parameters {
            $0.append(projectionID)
            $0.append(topics)
            $0.append(keys)
            $0.append(counts)
        }
        return (Self.selectFirst, parameters)
    }

    static func rows(
        in result: QueryResult, of limits: [(key: SequenceKey, limit: Int32)]
    ) throws -> [SequenceKey: [RecordOrigin]] {
        var rows: [SequenceKey: [RecordOrigin]] = [:]
        for row in 0..<result.rowCount {
            let key = limits[Int(try result.int64(row, 0)) - 1].key
            let partition = TopicPartition(topic: key.topic, partition: try result.int32(row, 1))
            rows[key, default: []].append(
                RecordOrigin(
                    partition: partition, offset: try result.int64(row, 2),
                    timestampMs: try result.optionalInt64(row, 3)))
        }
        return rows
    }

    /// The states of the parked events with these origins. ``states(in:)`` reads the result.
    func states(of origins: [RecordOrigin]) -> (Statement, Parameters) { (Self.selectStates, key(of: origins)) }

    static func states(in result: QueryResult) throws -> [RecordOrigin: ParkingPlan.Row] {
        var rows: [RecordOrigin: ParkingPlan.Row] = [:]
        for row in 0..<result.rowCount {
            let partition = TopicPartition(topic: try result.string(row, 0), partition: try result.int32(row, 1))
            let origin = RecordOrigin(
                partition: partition, offset: try result.int64(row, 2), timestampMs: try result.optionalInt64(row, 3))
            rows[origin] = ParkingPlan.Row(
                isInSequence: try result.bool(row, 4), isDiscarded: try result.bool(row, 5),
                delivery: Int(try result.int32(row, 6)))
        }
        return rows
    }

    /// The parts of a record that no letter could contain. ``Kept/init(_:)`` reads the results.
    func kept(of origin: RecordOrigin) -> [(Statement, Parameters)] {
        [(Self.selectKept, key(of: [origin])), (Self.selectKeptHeaders, key(of: [origin]))]
    }

    /// The parts of a record that are only in the database.
    struct Kept {
        let value: [UInt8]?
        /// nil if the letter contains them.
        let headers: [RecordHeader]?
        /// nil if the letter contains it or the record has none.
        let key: [UInt8]?

        /// - Returns: nil if there is no row, because the event is finished.
        init?(_ results: [QueryResult]) throws {
            let row = results[0]
            guard row.rowCount == 1 else { return nil }
            value = row.isNull(0, 0) ? nil : [UInt8](copying: row.bytes(0, 0))
            key = row.isNull(0, 1) ? nil : [UInt8](copying: row.bytes(0, 1))
            let hasHeaders = try row.bool(0, 2)
            var headers: [RecordHeader] = []
            let rows = results[1]
            for index in 0..<rows.rowCount {
                let value = rows.isNull(index, 1) ? nil : [UInt8](copying: rows.bytes(index, 1))
                headers.append(RecordHeader(name: try rows.string(index, 0), value: value))
            }
            self.headers = hasHeaders ? headers : nil
        }
    }

    // MARK: changing

    func insert(_ rows: [Row]) -> (Statement, Parameters) {
        var topics = TextArray()
        var partitions = Int32Array()
        var offsets = Int64Array()
        var timestamps = Int64Array()
        var keys = ByteaArray()
        var ids = UUIDArray()
        var days = DateArray()
        var reasons = TextArray()
        var classes = TextArray()
        var deliveries = Int32Array()
        for row in rows {
            topics.append(row.origin.partition.topic)
            partitions.append(row.origin.partition.partition)
            offsets.append(row.origin.offset)
            timestamps.append(row.origin.timestampMs)
            keys.append(row.key)
            ids.append(row.eventID)
            days.append(day: row.day)
            reasons.append(row.reason.rawValue)
            classes.append(row.errorClass)
            deliveries.append(Int32(clamping: row.delivery))
        }
        let parameters = Parameters {
            $0.append(projectionID)
            $0.append(topics)
            $0.append(partitions)
            $0.append(offsets)
            $0.append(timestamps)
            $0.append(keys)
            $0.append(ids)
            $0.append(days)
            $0.append(reasons)
            $0.append(classes)
            $0.append(deliveries)
        }
        return (Self.insertRows, parameters)
    }

    /// Records deliveries that were handled. The events stay parked.
    func note(_ handled: [Handled]) -> (Statement, Parameters) { (Self.noteDeliveries, key(of: handled)) }

    /// Deletes the rows of events that are applied.
    func delete(_ origins: [RecordOrigin]) -> (Statement, Parameters) { (Self.deleteRows, key(of: origins)) }

    /// Marks events as discarded. Their rows stay but block nothing. The rows are needed because the operator may
    /// restore the event later, and a late retry must be distinguished from a later one.
    func discard(_ handled: [Handled]) -> (Statement, Parameters) { (Self.discardRows, key(of: handled)) }

    /// Stores the parts of a record that no broker accepts.
    func keep(_ parts: KeptParts, of record: RecordView, at origin: RecordOrigin) -> (Statement, Parameters) {
        var names = TextArray()
        var values = ByteaArray()
        for header in record.headers where parts >= .headers && !LetterHeaderNames.contain(header.name) {
            names.append(header.name)
            values.append(header.value)
        }
        var parameters = Parameters(reservingBytes: (record.value?.count ?? 0) + 1_024)
        parameters.append(projectionID)
        parameters.append(origin.partition.topic)
        parameters.append(origin.partition.partition)
        parameters.append(origin.offset)
        parameters.append(origin.timestampMs)
        parameters.append(parts.name)
        append(record.value, to: &parameters)
        parameters.append(names)
        parameters.append(values)
        append(parts == .record ? record.key : nil, to: &parameters)
        return (Self.keepRecord, parameters)
    }

    private func append(_ bytes: Span<UInt8>?, to parameters: inout Parameters) {
        if let bytes { parameters.append(bytea: bytes) } else { parameters.append(nil as [UInt8]?) }
    }

    private func key(of origins: [RecordOrigin]) -> Parameters {
        var topics = TextArray()
        var partitions = Int32Array()
        var offsets = Int64Array()
        var timestamps = Int64Array()
        for origin in origins {
            topics.append(origin.partition.topic)
            partitions.append(origin.partition.partition)
            offsets.append(origin.offset)
            timestamps.append(origin.timestampMs)
        }
        return Parameters {
            $0.append(projectionID)
            $0.append(topics)
            $0.append(partitions)
            $0.append(offsets)
            $0.append(timestamps)
        }
    }

    private func key(of handled: [Handled]) -> Parameters {
        var parameters = key(of: handled.map(\.origin))
        var deliveries = Int32Array()
        for one in handled { deliveries.append(Int32(clamping: one.delivery)) }
        parameters.append(deliveries)
        return parameters
    }

    // MARK: numbers

    /// The blocked keys, up to the limit of ``BlockedKeys``. ``blockedKeys(in:)`` reads the result.
    func blockedKeys() -> (Statement, Parameters) {
        let parameters = Parameters {
            $0.append(projectionID)
            $0.append(Int64(BlockedKeys.limit + 1))
        }
        return (Self.selectBlockedKeys, parameters)
    }

    static func blockedKeys(in result: QueryResult) throws -> BlockedKeys {
        BlockedKeys(
            stored: try (0..<result.rowCount).map { row in
                SequenceKey(topic: try result.string(row, 0), key: [UInt8](copying: result.bytes(row, 1)))
            })
    }

    func counts() -> (Statement, Parameters) {
        (Self.selectCounts, Parameters { $0.append(projectionID) })
    }

    private static let selectFirst = Statement(
        "SELECT n, origin_partition, origin_offset, origin_timestamp FROM millrace_first_parked($1, $2, $3, $4)")
    /// Matches the row `p` with `wanted`. An unknown timestamp matches any.
    private static let isWanted = """
        p.projection_id = $1
            AND (p.topic, p.partition, p.record_offset) = (wanted.topic, wanted.partition, wanted.record_offset)
            AND (p.record_timestamp = wanted.record_timestamp OR p.record_timestamp IS NULL
                OR wanted.record_timestamp IS NULL)
        """
    private static let wanted = "unnest($2, $3, $4, $5) AS wanted (topic, partition, record_offset, record_timestamp)"
    private static let delivered =
        "unnest($2, $3, $4, $5, $6) AS wanted (topic, partition, record_offset, record_timestamp, delivery)"
    private static let selectKept = Statement(
        """
        SELECT p.kept_value, p.kept_key, p.kept IN ('headers', 'record') IS TRUE
        FROM \(wanted) JOIN parked_events AS p ON \(isWanted)
        WHERE p.kept_value IS NOT NULL OR p.kept IS NOT NULL
        """)
    private static let selectKeptHeaders = Statement(
        """
        SELECT header.name, header.value
        FROM \(wanted) JOIN parked_events AS p ON \(isWanted) CROSS JOIN LATERAL
            unnest(p.kept_header_names, p.kept_header_values) WITH ORDINALITY AS header (name, value, n)
        ORDER BY header.n
        """)
    /// The sequence is what the function `millrace_sequence` returns, without a call for each row.
    private static let insertRows = Statement(
        """
        INSERT INTO parked_events
            (projection_id, topic, partition, record_offset, record_timestamp, sequence, event_id, event_day, reason,
                error_class, delivery)
        SELECT $1, topic, partition, record_offset, record_timestamp,
            CASE WHEN octet_length(key) <= 255 THEN key ELSE sha256(key) END, event_id, event_day, reason, error_class,
            delivery
        FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11) WITH ORDINALITY AS rows (
            topic, partition, record_offset, record_timestamp, key, event_id, event_day, reason, error_class, delivery, n)
        ORDER BY n
        ON CONFLICT (projection_id, topic, partition, record_offset, coalesce(record_timestamp, -1)) DO NOTHING
        """)
    private static let deleteRows = Statement("DELETE FROM parked_events AS p USING \(wanted) WHERE \(isWanted)")
    private static let selectStates = Statement(
        """
        SELECT wanted.topic, wanted.partition, wanted.record_offset, wanted.record_timestamp,
            p.sequence IS NOT NULL, p.reason = 'discarded', p.delivery
        FROM \(wanted) JOIN parked_events AS p ON \(isWanted)
        ORDER BY p.position DESC
        """)
    private static let noteDeliveries = Statement(
        """
        UPDATE parked_events AS p
        SET delivery = wanted.delivery, reason = CASE p.reason WHEN 'discarded' THEN 'failed' ELSE p.reason END
        FROM \(delivered) WHERE \(isWanted)
        """)
    /// Deletes the event's day, because processed events of that day need not be kept for a discarded event.
    private static let discardRows = Statement(
        """
        UPDATE parked_events AS p
        SET sequence = NULL, reason = 'discarded', event_day = NULL, delivery = wanted.delivery
        FROM \(delivered) WHERE \(isWanted)
        """)
    private static let keepRecord = Statement(
        """
        INSERT INTO parked_events (
            projection_id, topic, partition, record_offset, record_timestamp, reason, kept, kept_value,
            kept_header_names, kept_header_values, kept_key)
        VALUES ($1, $2, $3, $4, $5, 'failed', $6, $7, $8, $9, $10)
        ON CONFLICT (projection_id, topic, partition, record_offset, coalesce(record_timestamp, -1)) DO UPDATE SET kept = excluded.kept,
            kept_value = excluded.kept_value, kept_header_names = excluded.kept_header_names,
            kept_header_values = excluded.kept_header_values, kept_key = excluded.kept_key
        """)
    private static let selectBlockedKeys = Statement(
        "SELECT blocked_topic, blocked_sequence FROM millrace_blocked_keys($1, $2)")
    private static let selectCounts = Statement(
        """
        SELECT count(*), (
            SELECT count(*) FROM (
                SELECT DISTINCT topic, sequence FROM parked_events
                WHERE projection_id = $1 AND sequence IS NOT NULL) AS sequences)
        FROM parked_events WHERE projection_id = $1 AND reason <> 'discarded'
        """)
}
