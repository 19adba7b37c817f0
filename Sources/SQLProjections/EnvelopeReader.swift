internal import Digests
internal import Kafka
internal import Projections
internal import StreamCore
internal import WireJSON

/// A record from which an event is read: one of Kafka, or one of a test case.
protocol MappableRecord {
    var topicPartition: TopicPartition { get }
    var offset: Int64 { get }
    /// In milliseconds since 1970; nil if the record has none.
    var timestampMs: Int64? { get }
    /// nil if it is NULL.
    var key: Span<UInt8>? { @_lifetime(borrow self) get }
    /// nil if it is NULL. The record is then a tombstone.
    var value: Span<UInt8>? { @_lifetime(borrow self) get }
    /// The last header with this name.
    func header(named name: String) -> RecordHeader?
}

extension RecordView: MappableRecord {}

/// Reads an event from a record by a mapping.
struct EnvelopeReader: Sendable {
    let format: EnvelopeMapping.Format
    private let mapping: EnvelopeMapping
    /// The mapping for CloudEvents whose attributes are members of the value.
    private let structured: EnvelopeMapping?
    private let plan: PointerPlan
    private let structuredPlan: PointerPlan?

    /// - Parameter change: changes the mapping of the format.
    init(_ format: EnvelopeMapping.Format, _ change: (inout EnvelopeMapping) -> Void = { _ in }) {
        self.format = format
        var mapping = EnvelopeMapping.preset(format)
        change(&mapping)
        self.mapping = mapping
        plan = PointerPlan(mapping)
        if format == .cloudevents {
            var structured = EnvelopeMapping.preset(format, structured: true)
            change(&structured)
            self.structured = structured
            structuredPlan = PointerPlan(structured)
        } else {
            structured = nil
            structuredPlan = nil
        }
    }

    /// Whether it reads Millrace's own events with the default place of each field.
    var readsPlainEvents: Bool { format == .millrace && mapping == .preset(.millrace) }

    /// - Returns: nil if the record is a tombstone and tombstones are ignored.
    /// - Throws: `EventFailure` if a field is missing or cannot be read.
    func event(of record: some MappableRecord) throws(EventFailure) -> SQLEvent? {
        guard record.value != nil else { return try tombstone(record) }
        if let structured, let structuredPlan, Self.isStructured(record) {
            return try event(of: record, structured, structuredPlan)
        }
        return try event(of: record, mapping, plan)
    }

    private static func isStructured(_ record: some MappableRecord) -> Bool {
        guard let type = record.header(named: "content-type")?.value else { return false }
        return String(decoding: type, as: UTF8.self).lowercased().hasPrefix("application/cloudevents")
    }

    private func tombstone(_ record: some MappableRecord) throws(EventFailure) -> SQLEvent? {
        guard let type = mapping.tombstoneType else { return nil }
        let fields = MappedFields(record, PointerPlan.Values())
        var event = SQLEvent(record)
        event.type = type
        event.eventID = try fields.eventID(mapping.eventID, event)
        event.aggregateType = fields.text(mapping.aggregateType) ?? ""
        event.aggregateID = try fields.required(mapping.aggregateID, "aggregate_id")
        event.occurredAt = try fields.timestamp(mapping.occurredAt)
        return event
    }

    private func event(
        of record: some MappableRecord, _ mapping: EnvelopeMapping, _ plan: PointerPlan
    ) throws(EventFailure) -> SQLEvent {
        let values = try read(record, plan)
        var fields = MappedFields(record, values)
        var event = SQLEvent(record)
        event.eventID = try fields.eventID(mapping.eventID, event)
        fields.known = event.eventID
        event.type = try fields.required(mapping.type, "type")
        event.aggregateType = fields.text(mapping.aggregateType) ?? ""
        event.aggregateID = try fields.required(mapping.aggregateID, "aggregate_id")
        event.sequence = try fields.integer(mapping.sequence, "sequence") ?? 0
        event.occurredAt = try fields.timestamp(mapping.occurredAt)
        event.version = try fields.integer(mapping.version, "version").map { Int32(clamping: $0) }
        event.correlationID = fields.text(mapping.correlationID)
        event.metadata = fields.json(mapping.metadata)
        event.payload = fields.json(mapping.payload, unwraps: format == .debezium)
        return event
    }

    private func read(
        _ record: some MappableRecord, _ plan: PointerPlan
    ) throws(EventFailure) -> PointerPlan.Values {
        guard let value = record.value else { return PointerPlan.Values() }
        do {
            return try plan.read(value)
        } catch {
            throw EventFailure("invalid_json", "\(error)", eventID: Self.headerID(record))
        }
    }

    /// The event id in the relay's header, which is known even if the value cannot be read.
    private static func headerID(_ record: some MappableRecord) -> EventID? {
        record.header(named: "event-id")?.value.flatMap { EventID(utf8: $0.span) }
    }
}

extension SQLEvent {
    /// Creates an event with only the record's position.
    fileprivate init(_ record: some MappableRecord) {
        topic = record.topicPartition.topic
        partition = record.topicPartition.partition
        offset = record.offset
    }
}

/// The values of a record for the references of a mapping.
private struct MappedFields<Record: MappableRecord> {
    private let record: Record
    private let values: PointerPlan.Values
    /// The event's id for failures, as soon as it is known.
    var known: EventID?

    init(_ record: Record, _ values: PointerPlan.Values) {
        self.record = record
        self.values = values
    }

    private func failure(_ errorClass: String, _ message: String) -> EventFailure {
        EventFailure(errorClass, message, eventID: known)
    }

    /// The text or number of the first reference that the record contains; nil if it contains none.
    func text(_ references: [FieldReference]) -> String? {
        for reference in references {
            if let text = text(reference) { return text }
        }
        return nil
    }

    private func text(_ reference: FieldReference) -> String? {
        switch reference {
        case .json(let path): return values.text(path)
        case .header(let name):
            guard let value = record.header(named: name)?.value else { return nil }
            return String(decoding: value, as: UTF8.self)
        case .key:
            guard let key = record.key else { return nil }
            return String(decoding: [UInt8](copying: key), as: UTF8.self)
        case .topic: return record.topicPartition.topic
        case .timestamp: return record.timestampMs.map(String.init)
        case .position: return "\(record.topicPartition)/\(record.offset)"
        case .literal(let text): return text
        }
    }

    func required(_ references: [FieldReference], _ name: String) throws(EventFailure) -> String {
        guard let text = text(references), !text.isEmpty else {
            throw failure("missing_field", "the record has no \(name) where the envelope mapping looks for it")
        }
        return text
    }

    func integer(_ references: [FieldReference], _ name: String) throws(EventFailure) -> Int64? {
        if references == [.position] { return record.offset }
        guard let text = text(references) else { return nil }
        guard let value = Int64(text), value >= 0 else {
            throw failure("invalid_field", "\(name) is not an integer of 0 or more")
        }
        return value
    }

    func timestamp(_ references: [FieldReference]) throws(EventFailure) -> Timestamp {
        for reference in references {
            if reference == .timestamp {
                if let milliseconds = record.timestampMs { return Timestamp(microseconds: milliseconds * 1_000) }
            } else if let text = text(reference) {
                guard let timestamp = Timestamp(text) else {
                    throw failure("invalid_field", "occurred_at: expected \(TimestampParseError.form)")
                }
                return timestamp
            }
        }
        throw failure("missing_field", "the record has no occurred_at where the envelope mapping looks for it")
    }

    /// A UUID is used unchanged. Any other text is hashed to a UUID, together with the topic, because another topic may
    /// contain the same text.
    func eventID(_ references: [FieldReference], _ event: SQLEvent) throws(EventFailure) -> EventID {
        let text = try required(references, "event_id")
        if let id = EventID(text) { return id }
        return EventID(hashing: "millrace \(event.topic) \(text)")
    }

    /// The unchanged JSON of the value. Text that is not JSON becomes a JSON string.
    ///
    /// - Parameter unwraps: whether a JSON string that contains an object or an array is replaced by its content. Some
    ///   programs send a JSON column as text.
    func json(_ references: [FieldReference], unwraps: Bool = false) -> [UInt8]? {
        for reference in references {
            if case .json(let path) = reference {
                if unwraps, let text = values.text(path), Self.isContainer(text) { return Array(text.utf8) }
                if let json = values.json(path) { return json }
            } else if let text = text(reference) {
                var writer = JSONWriter()
                writer.string(text)
                return writer.finish()
            }
        }
        return nil
    }
}

extension MappedFields {
    private static func isContainer(_ text: String) -> Bool {
        guard text.hasPrefix("{") || text.hasPrefix("[") else { return false }
        do {
            var reader = try JSONReader(text.utf8Span.span)
            try reader.skipValue()
            try reader.finish()
            return true
        } catch {
            return false
        }
    }
}

extension EventID {
    /// A UUID of RFC 9562, version 8, computed by SHA-256.
    fileprivate init(hashing text: String) {
        let digest = SHA256.digest(of: text)
        func word(_ start: Int) -> UInt64 {
            digest[start..<(start + 8)].reduce(0) { $0 << 8 | UInt64($1) }
        }
        self.init(
            high: word(0) & 0xFFFF_FFFF_FFFF_0FFF | 0x8000, low: word(8) & 0x3FFF_FFFF_FFFF_FFFF | 1 << 63)
    }
}
