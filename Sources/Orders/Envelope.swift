internal import Events
internal import StreamCore
internal import WireJSON

/// The fields of an envelope as they are met, in whatever order, and what must be true of them once all are there.
struct Envelope {
    private(set) var type: OrderEventType?
    /// Decoded where it stood; nil when type or version were not known by then.
    private(set) var payload: OrderEventPayload?
    /// Where the payload stands; empty before it was met.
    private(set) var payloadRange = 0..<0

    private var start = 0
    private var unknownType: String?
    private var eventID: EventID?
    private var aggregateID: String?
    private var aggregateType: AggregateType?
    /// The value is nil for null: the event has none.
    private var sequence: (value: Int64?, offset: Int)?
    private var timestamp: Timestamp?
    private var version: (value: Int64, offset: Int)?
    private var correlationID: String?
    private var causationID: String?
    private var metadata: EventMetadata?

    /// Reads all of the text.
    mutating func read(_ fields: inout FieldReader) throws(DecodeProblem) {
        start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if try !readIdentity(key, &fields), try !readContext(key, &fields) { try fields.skip() }
        }
        try fields.finish()
    }

    /// - Returns: false when `key` is none of these, with the cursor before its value.
    private mutating func readIdentity(_ key: JSONText, _ fields: inout FieldReader) throws(DecodeProblem) -> Bool {
        if fields.matches(key, "eventId") {
            try fields.once(eventID == nil, key)
            eventID = try fields.eventID()
        } else if fields.matches(key, "eventType") {
            try fields.once(type == nil && unknownType == nil, key)
            try readType(&fields)
        } else if fields.matches(key, "aggregateId") {
            try fields.once(aggregateID == nil, key)
            aggregateID = try fields.identity()
        } else if fields.matches(key, "aggregateType") {
            try fields.once(aggregateType == nil, key)
            aggregateType = try readAggregateType(&fields)
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

    /// Nothing depends on what is read here beside the payload: of two fields of one name the later one is taken.
    ///
    /// - Returns: false when `key` is none of these, with the cursor before its value.
    private mutating func readContext(_ key: JSONText, _ fields: inout FieldReader) throws(DecodeProblem) -> Bool {
        if fields.matches(key, "payload") {
            try fields.once(payloadRange.isEmpty, key)
            try readPayload(&fields)
        } else if fields.matches(key, "correlationId") {
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

    private mutating func readType(_ fields: inout FieldReader) throws(DecodeProblem) {
        let text = try fields.rawText()
        type = OrderEventType(text, in: fields.json)
        guard type == nil else { return }
        do { unknownType = try fields.json.string(of: text) } catch { throw DecodeProblem(error) }
    }

    /// An aggregate type that is not known belongs to an event type that is not known, which is no failure: the check
    /// that the two fit each other is made at the end.
    private func readAggregateType(_ fields: inout FieldReader) throws(DecodeProblem) -> AggregateType? {
        let text = try fields.rawText()
        if fields.json.matches(text, "Order") { return .order }
        if fields.json.matches(text, "Payment") { return .payment }
        if fields.json.matches(text, "Shipment") { return .shipment }
        return nil
    }

    private mutating func readPayload(_ fields: inout FieldReader) throws(DecodeProblem) {
        if let type, let version, version.value == type.currentVersion {
            let start = fields.json.offset
            payload = try OrderPayloadDecoder.decode(type, &fields)
            payloadRange = start..<fields.json.offset
        } else {
            payloadRange = try fields.skip()
        }
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
    /// The name of a type that is not known.
    func unknownTypeName() throws(DecodeProblem) -> String {
        guard let unknownType else { throw DecodeProblem(missing: "eventType", in: start) }
        return unknownType
    }

    /// The schema version, from 1 to the current one of `type`.
    func checkedVersion(of type: OrderEventType) throws(DecodeProblem) -> Int {
        guard let version else { throw DecodeProblem(missing: "version", in: start) }
        guard (1...Int64(type.currentVersion)).contains(version.value) else {
            throw DecodeProblem(
                .unknownVersion, at: version.offset,
                "\(type.rawValue) has version \(version.value), known are 1–\(type.currentVersion)")
        }
        return Int(version.value)
    }

    func requirePayload() throws(DecodeProblem) {
        if payloadRange.isEmpty { throw DecodeProblem(missing: "payload", in: start) }
    }

    func event(_ payload: OrderEventPayload) throws(DecodeProblem) -> OrderEvent {
        let type = payload.type
        guard let eventID else { throw DecodeProblem(missing: "eventId", in: start) }
        guard let aggregateID else { throw DecodeProblem(missing: "aggregateId", in: start) }
        guard aggregateType == type.aggregateType else {
            let detail = "\(type.rawValue) belongs to aggregateType \(type.aggregateType.rawValue)"
            throw DecodeProblem(.invalidValue, at: start, detail)
        }
        if let sequence, let value = sequence.value, value < 1 {
            throw DecodeProblem(.invalidSequence, at: sequence.offset, "a sequence counts from 1")
        }
        guard let timestamp else { throw DecodeProblem(missing: "timestamp", in: start) }
        return OrderEvent(
            identity: EventIdentity(
                eventID: eventID, eventType: type.rawValue, aggregateType: type.aggregateType.rawValue,
                aggregateID: aggregateID, sequence: sequence?.value ?? 0, timestamp: timestamp),
            correlationID: correlationID, causationID: causationID, metadata: metadata ?? EventMetadata(),
            payload: payload)
    }
}
