internal import Settings

/// The settings that say where an event's fields stand in a record: of `[envelope]`, or of a topic's own table.
struct EnvelopeSettings: Sendable {
    private(set) var format = EnvelopeMapping.Format.millrace
    /// The fields that are not where the format has them, by their keys, with their notation.
    private var moved: [String: String] = [:]
    /// The type of a record without a value; "" if such records are passed over, nil for the format's own.
    private var tombstoneType: String?
    /// The settings that stand in the section itself.
    private var own: [(key: String, text: String)] = []

    private typealias Field = WritableKeyPath<EnvelopeMapping, [FieldReference]> & Sendable

    private static let fields: [(key: String, field: any Field)] = [
        ("event_id", \.eventID), ("type", \.type), ("aggregate_type", \.aggregateType),
        ("aggregate_id", \.aggregateID), ("sequence", \.sequence), ("occurred_at", \.occurredAt),
        ("version", \.version), ("correlation_id", \.correlationID), ("metadata", \.metadata), ("payload", \.payload),
    ]

    /// - Parameters:
    ///   - section: where the settings stand.
    ///   - base: what the section changes; nil if it changes nothing, but stands for itself.
    init(from section: SectionReader, changing base: EnvelopeSettings? = nil) {
        let format = section.choice(
            "format", default: base?.format ?? .millrace,
            """
            The form of the records: Millrace's own events, Debezium's outbox event router, CloudEvents (structured or \
            binary), or a changelog (the value is a row, a record without a value deletes it).
            """)
        let hasFormat = section.isConfigured("format")
        // Fields were moved in the records of another form.
        if let base, !hasFormat { self = base }
        own = hasFormat ? [("format", format.rawValue)] : []
        self.format = format
        for (key, _) in Self.fields {
            let text = section.optionalString(
                key, example: "/" + key,
                """
                The place of \(key), if it differs from the format's: \(FieldReference.forms). Separate several places \
                with |.
                """
            ) { FieldReference.list($0) == nil ? "expected \(FieldReference.forms)" : nil }
            guard let text, FieldReference.list(text) != nil else { continue }
            moved[key] = text
            own.append((key, text))
        }
        let tombstone = section.optionalString(
            "tombstone_type", example: "Deleted",
            "The event type of a record without a value; \"\" skips such records.")
        guard let tombstone else { return }
        tombstoneType = tombstone
        own.append(("tombstone_type", tombstone))
    }

    /// The reader of these records.
    var reader: EnvelopeReader { EnvelopeReader(format, change) }

    /// Whether an event of these records has a sequence.
    var hasSequence: Bool {
        var mapping = EnvelopeMapping.preset(format)
        change(&mapping)
        return !mapping.sequence.isEmpty
    }

    private func change(_ mapping: inout EnvelopeMapping) {
        for (key, field) in Self.fields {
            guard let references = moved[key].flatMap(FieldReference.list) else { continue }
            mapping[keyPath: field] = references
        }
        if let tombstoneType { mapping.tombstoneType = tombstoneType.isEmpty ? nil : tombstoneType }
    }

    /// The lines of `[envelope]` for the digest of the version's definition. Versions that exist have this form.
    var definition: [String] {
        let fields = Self.fields.compactMap { field in moved[field.key].map { "\(field.key) \($0)" } }
        return ["format \(format.rawValue)", "tombstone_type \(tombstoneType ?? "∅")"] + fields
    }

    /// The lines of a topic's own table.
    var ownDefinition: [String] { own.map { "\($0.key) \($0.text)" } }
}
