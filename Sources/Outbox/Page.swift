internal import Postgres
internal import StreamCore

/// Rows as they came, in libpq's memory.
struct Page: Sendable {
    let request: ScanCursor.Request
    let result: QueryResult
    /// The rows' ids, ascending.
    let ids: [Int64]
    /// Of the rows' keys, by which Kafka's clients choose their partitions.
    let keyHashes: [UInt32]
    /// Of all texts, about.
    let bytes: Int

    /// Looks at each row once for all that is asked of the page as a whole: it is larger than a processor's own cache,
    /// so that looking costs more than what is done there.
    init(_ request: ScanCursor.Request, _ result: QueryResult) throws(PostgresError) {
        self.request = request
        self.result = result
        var ids: [Int64] = []
        var keyHashes: [UInt32] = []
        ids.reserveCapacity(result.rowCount)
        keyHashes.reserveCapacity(result.rowCount)
        var bytes = 0
        for row in 0..<result.rowCount {
            ids.append(try result.int64(row, RowColumn.id.rawValue))
            keyHashes.append(Murmur2.hash(Self.key(of: row, in: result)))
            bytes += 200 + result.bytes(row, RowColumn.payload.rawValue).count
        }
        self.ids = ids
        self.keyHashes = keyHashes
        self.bytes = bytes
    }

    /// As many rows as were asked for: there may be more.
    var isFull: Bool { ids.count >= request.limit }

    /// The record's key.
    @_lifetime(borrow result)
    private static func key(of row: Int, in result: QueryResult) -> Span<UInt8> {
        let column: RowColumn = result.isNull(row, RowColumn.key.rawValue) ? .aggregateID : .key
        return result.bytes(row, column.rawValue)
    }

    /// The lane of a row, also of one that cannot be published.
    func lane(at index: Int, topics: inout TopicNames) -> Lane {
        func bytes(_ column: RowColumn) -> [UInt8]? {
            result.isNull(index, column.rawValue) ? nil : Array(copying: result.bytes(index, column.rawValue))
        }
        let aggregateType = bytes(.aggregateType) ?? []
        let explicit = bytes(.topic)
        let topic = topics.topic(aggregateType: aggregateType.span, explicit: explicit?.span)
        return Lane(topic: topic.name, key: bytes(.key) ?? bytes(.aggregateID) ?? [])
    }
}

extension QueryResult {
    /// Reads a row where it lies.
    ///
    /// - Throws: when a value that the record needs is NULL, or is none that a record can hold.
    @_lifetime(borrow self)
    func outboxRow(_ row: Int, as value: RowLayout.Value) throws(PostgresError) -> OutboxRow {
        let isEnvelope = value == .envelope
        return OutboxRow(
            id: try int64(row, RowColumn.id.rawValue),
            eventID: try eventID(row, RowColumn.eventID.rawValue),
            eventType: try required(row, .eventType, isEnvelope),
            aggregateType: try required(row, .aggregateType, true),
            aggregateID: try required(row, .aggregateID, isEnvelope),
            sequence: isEnvelope ? try int64(row, RowColumn.sequence.rawValue) : 0,
            occurredAt: try optionalTimestamp(row, RowColumn.occurredAt.rawValue, isEnvelope),
            version: try optionalInt32(row, RowColumn.version.rawValue) ?? 1,
            correlationID: try optional(row, .correlationID),
            causationID: try optional(row, .causationID),
            metadata: try optional(row, .metadata),
            // It may be `bytea` where it is published as it is.
            payload: isNull(row, RowColumn.payload.rawValue) ? nil : bytes(row, RowColumn.payload.rawValue),
            headers: try optional(row, .headers),
            topic: try optional(row, .topic),
            key: try optional(row, .key))
    }

    @_lifetime(borrow self)
    private func required(_ row: Int, _ column: RowColumn, _ isRequired: Bool) throws(PostgresError) -> Span<UInt8> {
        if isRequired && isNull(row, column.rawValue) {
            throw PostgresError(.decoding, "column \(column.name) is NULL")
        }
        return try textBytes(row, column.rawValue)
    }

    @_lifetime(borrow self)
    private func optional(_ row: Int, _ column: RowColumn) throws(PostgresError) -> Span<UInt8>? {
        if isNull(row, column.rawValue) { return nil }
        return try textBytes(row, column.rawValue)
    }

    private func optionalTimestamp(
        _ row: Int, _ column: Int, _ isRequired: Bool
    ) throws(PostgresError) -> Timestamp {
        if !isRequired && isNull(row, column) { return Timestamp(microseconds: 0) }
        return try timestamp(row, column)
    }
}
