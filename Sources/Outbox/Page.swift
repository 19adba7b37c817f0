internal import Postgres
internal import StreamCore

/// The rows of one page, in libpq's memory.
struct Page: Sendable {
    /// The column with the size of the row, after the ``RowColumn``s.
    private static let sizeColumn = RowColumn.allCases.count

    let request: ScanCursor.Request
    let result: QueryResult
    /// The time that the statement took.
    let duration: Duration
    /// The rows' ids, ascending.
    let ids: [Int64]
    /// The hashes of the rows' keys, by which Kafka clients choose partitions.
    let keyHashes: [UInt32]
    /// The approximate size of all values, in bytes.
    let bytes: Int
    /// The size of the first row that was too large to be returned with its values; nil if there is none. The page ends
    /// before it.
    let tooLarge: Int?

    /// Reads each row once for everything that concerns the whole page. A page is larger than the cache of a processor
    /// core, so each further pass over its memory would be slow.
    init(_ request: ScanCursor.Request, _ result: QueryResult, duration: Duration) throws(PostgresError) {
        self.request = request
        self.result = result
        self.duration = duration
        var ids: [Int64] = []
        var keyHashes: [UInt32] = []
        ids.reserveCapacity(result.rowCount)
        keyHashes.reserveCapacity(result.rowCount)
        var bytes = 0
        var tooLarge: Int?
        for row in 0..<result.rowCount {
            let size = try result.int32(row, Self.sizeColumn)
            if size > request.rowBytes {
                tooLarge = Int(size)
                break
            }
            ids.append(try result.int64(row, RowColumn.id.rawValue))
            keyHashes.append(Murmur2.hash(Self.key(of: row, in: result)))
            bytes += 200 + Int(size)
        }
        self.ids = ids
        self.keyHashes = keyHashes
        self.bytes = bytes
        self.tooLarge = tooLarge
    }

    /// Whether the outbox may contain more rows: the page has as many rows as requested, or ends before a row that is
    /// too large.
    var isFull: Bool { ids.count >= request.limit || tooLarge != nil }

    /// The key of the record.
    @_lifetime(borrow result)
    private static func key(of row: Int, in result: QueryResult) -> Span<UInt8> {
        let column: RowColumn = result.isNull(row, RowColumn.key.rawValue) ? .aggregateID : .key
        return result.bytes(row, column.rawValue)
    }

    /// The topic and key of a row, even if the row cannot be published.
    func topicKey(at index: Int, topics: inout TopicNames) -> TopicKey {
        func bytes(_ column: RowColumn) -> [UInt8]? {
            result.isNull(index, column.rawValue) ? nil : Array(copying: result.bytes(index, column.rawValue))
        }
        let aggregateType = bytes(.aggregateType) ?? []
        let explicit = bytes(.topic)
        let topic = topics.topic(aggregateType: aggregateType.span, explicit: explicit?.span)
        return TopicKey(topic: topic.name, key: bytes(.key) ?? bytes(.aggregateID) ?? [])
    }
}

extension QueryResult {
    /// Returns a row that refers to the result's memory.
    ///
    /// - Throws: if a necessary value is NULL or invalid.
    @_lifetime(borrow self)
    func outboxRow(_ row: Int, as value: RowLayout.Value) throws(PostgresError) -> OutboxRow {
        let isEnvelope = value == .envelope
        let isUUID = type(ofColumn: RowColumn.eventID.rawValue) == .uuid
        return OutboxRow(
            id: try int64(row, RowColumn.id.rawValue),
            eventID: isUUID ? try eventID(row, RowColumn.eventID.rawValue) : EventID(high: 0, low: 0),
            sourceID: isUUID ? nil : try required(row, .eventID, true),
            eventType: try required(row, .eventType, isEnvelope),
            aggregateType: try required(row, .aggregateType, true),
            aggregateID: try required(row, .aggregateID, isEnvelope),
            sequence: isEnvelope ? try integer(row, .sequence) : 0,
            occurredAt: try instant(row, isRequired: isEnvelope),
            version: try version(row),
            correlationID: try optional(row, .correlationID),
            causationID: try optional(row, .causationID),
            metadata: try optional(row, .metadata),
            // It may be `bytea` if it is published unchanged.
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

    /// The value of an integer column, or of a text column that contains an integer.
    private func integer(_ row: Int, _ column: RowColumn) throws(PostgresError) -> Int64 {
        guard isText(column), !isNull(row, column.rawValue) else { return try int64(row, column.rawValue) }
        guard let number = Int64(try string(row, column.rawValue)) else {
            throw PostgresError(.decoding, "column \(column.name) is not an integer")
        }
        return number
    }

    private func version(_ row: Int) throws(PostgresError) -> Int32 {
        if isNull(row, RowColumn.version.rawValue) { return 1 }
        guard let version = Int32(exactly: try integer(row, .version)) else {
            throw PostgresError(.decoding, "column version is out of range")
        }
        return version
    }

    /// The event's time: a timestamp, ISO 8601 text, or milliseconds since 1970.
    private func instant(_ row: Int, isRequired: Bool) throws(PostgresError) -> Timestamp {
        let column = RowColumn.occurredAt
        if !isRequired && isNull(row, column.rawValue) { return Timestamp(microseconds: 0) }
        switch type(ofColumn: column.rawValue) {
        case .int8, .int4, .int2:
            let (microseconds, overflow) = try int64(row, column.rawValue).multipliedReportingOverflow(by: 1_000)
            if overflow { throw PostgresError(.decoding, "column \(column.name) is out of range") }
            return Timestamp(microseconds: microseconds)
        case .text:
            guard let time = Timestamp(try string(row, column.rawValue)) else {
                throw PostgresError(.decoding, "column \(column.name) is not an ISO 8601 timestamp with a time zone")
            }
            return time
        default: return try timestamp(row, column.rawValue)
        }
    }

    private func isText(_ column: RowColumn) -> Bool { type(ofColumn: column.rawValue) == .text }
}
