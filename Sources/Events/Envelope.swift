public import StreamCore
public import WireJSON

/// The fields of an envelope as they are met, in whatever order, and what must be true of them once all are there.
/// Knows no domain: the payload is its caller's to read.
@usableFromInline
struct Envelope {
    /// Where the name of the event's type stands.
    @usableFromInline private(set) var type: JSONText?
    /// Where the payload stands; empty before it was read.
    @usableFromInline private(set) var payloadRange = 0..<0

    /// Where the envelope starts; nil before it was entered.
    private var entered: Int?
    private var eventID: EventID?
    private var aggregateID: String?
    private var aggregateType: JSONText?
    /// The value is nil for null: the event has none.
    private var sequence: (value: Int64?, offset: Int)?
    private var timestamp: Timestamp?
    private var version: (value: Int64, offset: Int)?
    @usableFromInline private(set) var correlationID: String?
    @usableFromInline private(set) var causationID: String?
    @usableFromInline private(set) var metadata: EventMetadata?

    @usableFromInline init() {}

    private var start: Int { entered ?? 0 }

    /// Reads on, to the end of the text or to a payload that can be read where it stands, since type and version came
    /// before it.
    ///
    /// - Returns: whether the cursor stands before the payload. The caller reads it or skips it, says so
    ///   (``tookPayload(_:)``) and calls again.
    @usableFromInline
    mutating func read(_ fields: inout FieldReader) throws(DecodeProblem) -> Bool {
        if entered == nil { entered = try fields.enterObject() }
        while let key = try fields.nextKey() {
            if fields.matches(key, "payload") {
                try fields.once(payloadRange.isEmpty, key)
                if type != nil, version != nil { return true }
                payloadRange = try fields.skip()
            } else if try !readIdentity(key, &fields), try !readContext(key, &fields) {
                try fields.skip()
            }
        }
        try fields.finish()
        return false
    }

    /// - Parameter range: where the payload stands.
    @usableFromInline
    mutating func tookPayload(_ range: Range<Int>) {
        payloadRange = range
    }

    /// Whether the version that was read is this one.
    @usableFromInline
    func hasVersion(_ number: Int) -> Bool { version?.value == Int64(number) }

    /// - Returns: false when `key` is none of these, with the cursor before its value.
    private mutating func readIdentity(_ key: JSONText, _ fields: inout FieldReader) throws(DecodeProblem) -> Bool {
        if fields.matches(key, "eventId") {
            try fields.once(eventID == nil, key)
            eventID = try fields.eventID()
        } else if fields.matches(key, "eventType") {
            try fields.once(type == nil, key)
            type = try fields.rawText()
        } else if fields.matches(key, "aggregateId") {
            try fields.once(aggregateID == nil, key)
            aggregateID = try fields.identity()
        } else if fields.matches(key, "aggregateType") {
            try fields.once(aggregateType == nil, key)
            aggregateType = try fields.rawText()
        } else if fields.matches(key, "sequence") {
            try fields.once(sequence == nil, key)
            sequence = (try fields.isNull() ? nil : try fields.integer(), fields.json.offset - 1)
        } else if fields.matches(key, "timestamp") {
            try fields.once(timestamp == nil, key)
            timestamp = try fields.timestamp()
        } else if fields.matches(key, "version") {
            try fields.once(version == nil, key)
            version = (try fields.integer(), fields.json.offset - 1)
        } else {
            return false
        }
        return true
    }

    /// Nothing depends on what is read here: of two fields of one name the later one is taken.
    ///
    /// - Returns: false when `key` is none of these, with the cursor before its value.
    private mutating func readContext(_ key: JSONText, _ fields: inout FieldReader) throws(DecodeProblem) -> Bool {
        if fields.matches(key, "correlationId") {
            correlationID = try fields.incidentalText()
        } else if fields.matches(key, "causationId") {
            causationID = try fields.incidentalText()
        } else if fields.matches(key, "metadata") {
            metadata = try Self.readMetadata(&fields)
        } else {
            return false
        }
        return true
    }

    private static func readMetadata(_ fields: inout FieldReader) throws(DecodeProblem) -> EventMetadata {
        var metadata = EventMetadata()
        guard try fields.kind() == .object else {
            try fields.skip()
            return metadata
        }
        _ = try fields.enterObject()
        while let key = try fields.nextKey() {
            if fields.matches(key, "source") {
                metadata.source = try fields.incidentalText()
            } else if fields.matches(key, "userId") {
                metadata.userID = try fields.incidentalText()
            } else if fields.matches(key, "tenantId") {
                metadata.tenantID = try fields.incidentalText()
            } else if fields.matches(key, "traceId") {
                metadata.traceID = try fields.incidentalText()
            } else {
                try fields.skip()
            }
        }
        return metadata
    }
}

// MARK: - what must be true

extension Envelope {
    /// Where the name of the event's type stands.
    @usableFromInline
    func requiredType() throws(DecodeProblem) -> JSONText {
        guard let type else { throw DecodeProblem(missing: "eventType", in: start) }
        return type
    }

    /// The schema version, from 1 to `current`.
    ///
    /// - Parameter type: the name of the event's type.
    @usableFromInline
    func checkedVersion(of type: String, current: Int) throws(DecodeProblem) -> Int {
        guard let version else { throw DecodeProblem(missing: "version", in: start) }
        guard (1...Int64(current)).contains(version.value) else {
            throw DecodeProblem(
                .unknownVersion, at: version.offset,
                "\(type) has version \(version.value); the known versions are 1–\(current)")
        }
        return Int(version.value)
    }

    @usableFromInline
    func requirePayload() throws(DecodeProblem) {
        if payloadRange.isEmpty { throw DecodeProblem(missing: "payload", in: start) }
    }

    /// - Parameters:
    ///   - type: the name of the event's type.
    ///   - aggregateType: that which events of this type belong to.
    ///   - fields: what the envelope was read from.
    @usableFromInline
    func identity(
        type: String, aggregateType expected: String, in fields: borrowing FieldReader
    ) throws(DecodeProblem) -> EventIdentity {
        guard let eventID else { throw DecodeProblem(missing: "eventId", in: start) }
        guard let aggregateID else { throw DecodeProblem(missing: "aggregateId", in: start) }
        guard let aggregateType, fields.json.matches(aggregateType, expected.utf8Span.span) else {
            throw DecodeProblem(.invalidValue, at: start, "\(type) belongs to aggregateType \(expected)")
        }
        if let sequence, let value = sequence.value, value < 1 {
            throw DecodeProblem(.invalidSequence, at: sequence.offset, "a sequence must be 1 or more")
        }
        guard let timestamp else { throw DecodeProblem(missing: "timestamp", in: start) }
        return EventIdentity(
            eventID: eventID, eventType: type, aggregateType: expected, aggregateID: aggregateID,
            sequence: sequence?.value ?? 0, timestamp: timestamp)
    }

    /// What the envelope says of an event of whatever domain.
    @usableFromInline
    func anyIdentity(in fields: borrowing FieldReader) throws(DecodeProblem) -> EventIdentity {
        let type = try fields.string(of: requiredType())
        _ = try checkedVersion(of: type, current: .max)
        try requirePayload()
        guard let aggregateType else { throw DecodeProblem(missing: "aggregateType", in: start) }
        return try identity(type: type, aggregateType: fields.string(of: aggregateType), in: fields)
    }

    @inlinable
    func event<Payload>(
        _ payload: Payload, in fields: borrowing FieldReader
    ) throws(DecodeProblem) -> Event<Payload> {
        let type = payload.type
        return Event(
            identity: try identity(
                type: type.rawValue, aggregateType: type.aggregateType.rawValue, in: fields),
            correlationID: correlationID, causationID: causationID, metadata: metadata ?? EventMetadata(),
            payload: payload)
    }
}
