internal import Events
internal import Postgres
internal import StreamCore
internal import WireJSON

/// The SQL of event streams.
enum StreamStatements {
    static let lock: Statement = """
        SELECT 1 FROM event_streams WHERE aggregate_type = $1 AND aggregate_id = ANY($2)
        ORDER BY aggregate_id FOR UPDATE
        """

    /// Reads each aggregate's snapshot and the later events. It must be one statement, so that both come from one
    /// snapshot of the database.
    static let read: Statement = """
        SELECT s.aggregate_id, s.snapshot_version, s.snapshot, s.snapshot_at, e.sequence, e.event_id, e.event_type,
            e.version, e.occurred_at, e.payload, e.metadata ->> 'userId', e.metadata ->> 'tenantId',
            e.metadata ->> 'source', e.metadata ->> 'traceId'
        FROM (
            SELECT aggregate_type, aggregate_id,
                CASE WHEN snapshot_format = $3 THEN snapshot_version ELSE 0 END AS snapshot_version,
                CASE WHEN snapshot_format = $3 THEN snapshot END AS snapshot,
                (SELECT occurred_at FROM stream_events AS last
                    WHERE last.aggregate_type = h.aggregate_type AND last.aggregate_id = h.aggregate_id
                        AND last.sequence = h.snapshot_version) AS snapshot_at
            FROM event_streams AS h
            WHERE aggregate_type = $1 AND aggregate_id = ANY($2)
        ) AS s
        LEFT JOIN stream_events AS e ON e.aggregate_type = s.aggregate_type AND e.aggregate_id = s.aggregate_id
            AND e.sequence > s.snapshot_version
        ORDER BY s.aggregate_id, e.sequence
        """

    static let history: Statement = """
        SELECT aggregate_id, 0::bigint, NULL::json, NULL::timestamptz, sequence, event_id, event_type, version,
            occurred_at, payload, metadata ->> 'userId', metadata ->> 'tenantId', metadata ->> 'source',
            metadata ->> 'traceId'
        FROM stream_events
        WHERE aggregate_type = $1 AND aggregate_id = $2 AND occurred_at <= $3
        ORDER BY sequence
        """

    static let create: Statement = """
        INSERT INTO event_streams (aggregate_type, aggregate_id, version, snapshot_version, snapshot_format, snapshot)
        SELECT $1, aggregate_id, version, CASE WHEN snapshot IS NULL THEN 0 ELSE version END, snapshot_format, snapshot
        FROM unnest($2, $3, $4, $5, $6) AS u(aggregate_id, version, expected, snapshot_format, snapshot)
        """

    static let grow: Statement = """
        WITH changed AS (
            UPDATE event_streams AS s SET
                version = u.version,
                snapshot_version = CASE WHEN u.snapshot IS NULL THEN s.snapshot_version ELSE u.version END,
                snapshot_format = coalesce(u.snapshot_format, s.snapshot_format),
                snapshot = coalesce(u.snapshot, s.snapshot)
            FROM unnest($2, $3, $4, $5, $6) AS u(aggregate_id, version, expected, snapshot_format, snapshot)
            WHERE s.aggregate_type = $1 AND s.aggregate_id = u.aggregate_id AND s.version = u.expected
            RETURNING 1
        )
        SELECT commands_expect((SELECT count(*) FROM changed), $7, $1)
        """

    static let append: Statement = """
        INSERT INTO stream_events (aggregate_type, aggregate_id, sequence, event_id, event_type, version, occurred_at,
            correlation_id, causation_id, metadata, payload)
        SELECT $1, u.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS u
        """
}

/// The columns of new rows of `event_streams`, or of changes to them.
struct StreamHeads {
    private var ids = TextArray(), versions = Int64Array(), expected = Int64Array(), formats = Int32Array()
    private var snapshots = JSONArray()

    var count: Int { ids.count }

    mutating func append(_ id: String, _ version: Int64, expected: Int64, _ snapshot: [UInt8]?, _ format: Int32) {
        ids.append(id)
        versions.append(version)
        self.expected.append(expected)
        formats.append(snapshot == nil ? nil : format)
        if let snapshot { snapshots.append(json: snapshot.span) } else { snapshots.appendNull() }
    }

    func parameters(_ kind: String) -> Parameters {
        var parameters = Parameters()
        parameters.append(kind)
        parameters.append(ids)
        parameters.append(versions)
        parameters.append(expected)
        parameters.append(formats)
        parameters.append(snapshots)
        return parameters
    }
}

/// The columns of new rows of `stream_events`.
struct StreamEvents {
    private var ids = TextArray(), sequences = Int64Array(), eventIDs = UUIDArray(), types = TextArray()
    private var versions = Int32Array(), times = TimestampArray(), correlationIDs = TextArray()
    private var causationIDs = TextArray(), metadata = JSONArray(), payloads = JSONArray()

    mutating func append(_ event: Event<some EventPayload>) {
        ids.append(event.identity.aggregateID)
        sequences.append(event.identity.sequence)
        eventIDs.append(event.identity.eventID)
        types.append(event.identity.eventType)
        versions.append(Int32(event.type.currentVersion))
        times.append(event.identity.timestamp)
        correlationIDs.append(event.correlationID)
        causationIDs.append(event.causationID)
        var json = JSONWriter()
        event.metadata.write(to: &json)
        metadata.append(json: json.span)
        json.reset()
        event.payload.write(to: &json)
        payloads.append(json: json.span)
    }

    func parameters(_ kind: String) -> Parameters {
        var parameters = Parameters()
        parameters.append(kind)
        parameters.append(ids)
        parameters.append(sequences)
        parameters.append(eventIDs)
        parameters.append(types)
        parameters.append(versions)
        parameters.append(times)
        parameters.append(correlationIDs)
        parameters.append(causationIDs)
        parameters.append(metadata)
        parameters.append(payloads)
        return parameters
    }
}
