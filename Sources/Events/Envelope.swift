public import StreamCore
public import WireJSON

/// Collects the fields of an envelope in any order, and checks the rules for them when all have been read. It does not
/// depend on a domain, so the caller reads the payload.
@usableFromInline
struct Envelope {
    /// The place of the event type's name.
    @usableFromInline private(set) var type: JSONText?
    /// The range of the payload; empty until it is known.
    @usableFromInline private(set) var payloadRange = 0..<0

    /// The offset of the envelope; nil until it was entered.
    private var entered: Int?
    private var eventID: EventID?
    private var aggregateID: String?
    private var aggregateType: JSONText?
    /// The inner value is nil if the field is null, which means that the event has no sequence.
    private var sequence: (value: Int64?, offset: Int)?
    private var timestamp: Timestamp?
    private var version: (value: Int64, offset: Int)?
    @usableFromInline private(set) var correlationID: String?
    @usableFromInline private(set) var causationID: String?
    @usableFromInline private(set) var metadata: EventMetadata?

    @usableFromInline init() {}

    private var start: Int { entered ?? 0 }

    /// Reads fields up to the end of the text, or up to a payload that can be decoded at once because the type and the
    /// version came before it.
    ///
    /// - Returns: whether the cursor is before the payload. The caller then reads or skips the payload, calls
    ///   ``tookPayload(_:)``, and calls this method again.
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

    /// - Parameter range: the range of the payload.
    @usableFromInline
    mutating func tookPayload(_ range: Range<Int>) {
        payloadRange = range
    }

    /// Whether the envelope has version `number`.
    @usableFromInline
    func hasVersion(_ number: Int) -> Bool { version?.value == Int64(number) }

    /// - Returns: false if `key` is none of these fields. The cursor is then before its value.
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

    /// Reads fields that no decision depends on. If a field occurs twice, the later one is used.
    ///
    /// - Returns: false if `key` is none of these fields. The cursor is then before its value.
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

// MARK: - rules for the fields

extension Envelope {
    /// The place of the event type's name.
    @usableFromInline
    func requiredType() throws(DecodeProblem) -> JSONText {
        guard let type else { throw DecodeProblem(missing: "eventType", in: start) }
        return type
    }

    /// The schema version. It must be between 1 and `current`.
    ///
    /// - Parameters:
    ///   - type: the name of the event type, for the error.
    ///   - current: the current version of the event type.
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
    ///   - type: the name of the event type.
    ///   - expected: the aggregate type that events of this type belong to.
    ///   - fields: the reader from which the envelope was read.
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

    /// Checks the envelope of an event of any domain, and returns its identity.
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
