internal import StreamCore

/// One row of the outbox. Its texts refer to the memory of the query result.
struct OutboxRow: ~Escapable {
    let id: Int64
    let eventID: EventID
    /// The text of the id if it is not a UUID. ``eventID`` has no meaning then.
    let sourceID: Span<UInt8>?
    let eventType: Span<UInt8>
    let aggregateType: Span<UInt8>
    let aggregateID: Span<UInt8>
    let sequence: Int64
    let occurredAt: Timestamp
    let version: Int32
    let correlationID: Span<UInt8>?
    let causationID: Span<UInt8>?
    let metadata: Span<UInt8>?
    let payload: Span<UInt8>?
    let headers: Span<UInt8>?
    let topic: Span<UInt8>?
    let key: Span<UInt8>?

    @_lifetime(
        copy sourceID, copy eventType, copy aggregateType, copy aggregateID, copy correlationID, copy causationID,
        copy metadata, copy payload, copy headers, copy topic, copy key)
    init(
        id: Int64, eventID: EventID, sourceID: Span<UInt8>? = nil, eventType: Span<UInt8>,
        aggregateType: Span<UInt8>, aggregateID: Span<UInt8>, sequence: Int64, occurredAt: Timestamp, version: Int32,
        correlationID: Span<UInt8>? = nil, causationID: Span<UInt8>? = nil, metadata: Span<UInt8>? = nil,
        payload: Span<UInt8>? = nil, headers: Span<UInt8>? = nil, topic: Span<UInt8>? = nil, key: Span<UInt8>? = nil
    ) {
        self.id = id
        self.eventID = eventID
        self.sourceID = sourceID
        self.eventType = eventType
        self.aggregateType = aggregateType
        self.aggregateID = aggregateID
        self.sequence = sequence
        self.occurredAt = occurredAt
        self.version = version
        self.correlationID = correlationID
        self.causationID = causationID
        self.metadata = metadata
        self.payload = payload
        self.headers = headers
        self.topic = topic
        self.key = key
    }
}

/// Writes the JSON envelope of an event from the bytes of a row. It copies `payload` and `metadata` unchanged, because
/// PostgreSQL has checked that they are JSON. Names and order of the members follow the event format.
struct EnvelopeWriter: ~Copyable {
    private var buffer = RecordBuffer()
    /// Caches the text of the last timestamp without its fraction. Events of one page often occurred in the same
    /// second.
    private var second = Int64.min
    private var secondText = Timestamp(microseconds: 0).text

    /// An upper bound for the names, the punctuation and the values of fixed size in an envelope.
    private static let fixedSize = 400

    /// The envelope that was written last.
    var bytes: Span<UInt8> {
        @_lifetime(borrow self)
        borrowing get { buffer.span }
    }
    /// The length of the envelope.
    var count: Int { buffer.count }

    mutating func write(_ row: borrowing OutboxRow) {
        let escaped =
            row.eventType.count + row.aggregateID.count + row.aggregateType.count + (row.correlationID?.count ?? 0)
            + (row.causationID?.count ?? 0)
        let verbatim = (row.metadata?.count ?? 0) + (row.payload?.count ?? 0)
        buffer.start(room: Self.fixedSize + 6 * escaped + verbatim)
        buffer.append(#"{"eventId":""#)
        buffer.append(row.eventID)
        buffer.append(#"","eventType":"#)
        buffer.append(json: row.eventType)
        buffer.append(#","aggregateId":"#)
        buffer.append(json: row.aggregateID)
        buffer.append(#","aggregateType":"#)
        buffer.append(json: row.aggregateType)
        buffer.append(#","sequence":"#)
        buffer.append(row.sequence)
        buffer.append(#","timestamp":""#)
        append(row.occurredAt)
        buffer.append(#"","version":"#)
        buffer.append(Int64(row.version))
        buffer.append(#","correlationId":"#)
        if let text = row.correlationID { buffer.append(json: text) } else { buffer.append("null") }
        buffer.append(#","causationId":"#)
        if let text = row.causationID { buffer.append(json: text) } else { buffer.append("null") }
        buffer.append(#","metadata":"#)
        if let json = row.metadata { buffer.append(json) } else { buffer.append("null") }
        buffer.append(#","payload":"#)
        if let json = row.payload { buffer.append(json) } else { buffer.append("null") }
        buffer.append("}")
    }

    /// Whether an envelope can represent the time: its year must have four digits.
    static func canTell(_ time: Timestamp) -> Bool {
        (-62_167_219_200_000_000..<253_402_300_800_000_000).contains(time.microseconds)
    }

    /// `YYYY-MM-DDTHH:MM:SS.ffffffZ`.
    private mutating func append(_ time: Timestamp) {
        var (seconds, fraction) = time.microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        if fraction < 0 {
            seconds -= 1
            fraction += 1_000_000
        }
        if seconds != second {
            secondText = time.text
            second = seconds
        }
        let text = secondText
        buffer.append(text.span.extracting(0..<20))
        buffer.append(fraction: fraction)
        buffer.append("Z")
    }
}
