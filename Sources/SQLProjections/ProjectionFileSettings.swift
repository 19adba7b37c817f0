internal import Projections
internal import Settings

/// The settings of `projection.toml`.
struct ProjectionFileSettings: SettingsDeclaration {
    var name: String
    var version: Int
    var topics: [String]
    var mode: ProjectionMode
    var order: DeadLetterRoute.Order
    var strictSequence: Bool
    var unknownTypes: UnknownTypePolicy
    var typeOrder: [String]
    var uncheckedColumns: [String]
    var format: EnvelopeMapping.Format
    var envelope: EnvelopeMapping

    init(from reader: SettingsReader) {
        let section = reader.section("projection", "What the read model is, and how its statements see events.")
        name = section.requiredString(
            "name", example: "customer-orders",
            """
            The projection's name: part of its consumer group's name, of its letter topics' names, and of its schema's \
            name. Lower-case letters, digits and hyphens, at most 40.
            """,
            check: Self.problem(ofName:))
        version = section.integer(
            "version", default: 1, in: 1...9_999,
            """
            The read model's version. Raise it when schema.sql changes: the new version gets a schema and a consumer \
            group of its own, and begins at the start of the topics.
            """)
        topics = section.strings("topics", default: [], "The topics to read.")
        mode = section.choice(
            "mode", default: ProjectionMode.batch,
            """
            "batch": a statement runs once for all events of its type in a batch, and reads them from the relation \
            events. "event": it runs once for each event, in order, and names its values, :payload and the like. Batch \
            mode is much faster.
            """)
        order = section.choice(
            "order", default: DeadLetterRoute.Order.key,
            """
            What waits for an event that cannot be applied: later events of its key, which become dead letters behind \
            it, or nothing. "none" is for read models whose events may be applied in any order, such as counters.
            """)
        strictSequence = section.boolean(
            "strict_sequence", default: false,
            """
            Whether an event is applied only when it is the next of its aggregate, by its sequence. An event behind a \
            gap becomes a dead letter, and later ones of its key wait behind it. For ledgers. Needs order "key".
            """)
        unknownTypes = section.choice(
            "unknown_types", default: UnknownTypePolicy.ignore,
            "What becomes of an event whose type has no statement: it is counted and passed over, or it fails.")
        typeOrder = section.strings(
            "types", default: [],
            """
            In batch mode, the order in which the files run. Files that are not listed run last, in the order of their \
            names. apply.sql sees events of all types.
            """)
        uncheckedColumns = section.strings(
            "unchecked_columns", default: [],
            """
            Columns, as table.column, that `millrace projection check` and the verification of a version do not \
            compare: an id that a sequence makes, or the time of writing.
            """)
        let envelope = reader.section("envelope", "Where the fields of an event stand in a record.")
        format = envelope.choice(
            "format", default: EnvelopeMapping.Format.millrace,
            """
            The form of the records: Millrace's own events, Debezium's outbox event router, CloudEvents (structured or \
            binary), or a changelog (the value is a row, a record without a value deletes it).
            """)
        self.envelope = EnvelopeMapping.preset(format)
        readFields(envelope)
        check(section)
    }

    private mutating func readFields(_ section: SectionReader) {
        let fields: [(String, any Field)] = [
            ("event_id", \.eventID), ("type", \.type), ("aggregate_type", \.aggregateType),
            ("aggregate_id", \.aggregateID), ("sequence", \.sequence), ("occurred_at", \.occurredAt),
            ("version", \.version), ("correlation_id", \.correlationID), ("metadata", \.metadata),
            ("payload", \.payload),
        ]
        for (key, path) in fields {
            let text = section.optionalString(
                key, example: "/" + key,
                "Where \(key) stands, when it is not where the format has it: \(FieldReference.forms); several with |."
            ) { FieldReference.list($0) == nil ? "expected \(FieldReference.forms)" : nil }
            if let text, let references = FieldReference.list(text) {
                changes.append((path, references))
                mapped.append((key, text))
            }
        }
        let tombstone = section.optionalString(
            "tombstone_type", example: "Deleted",
            "The event type of a record without a value; \"\" passes such records over.")
        for (path, references) in changes { envelope[keyPath: path] = references }
        if let tombstone { envelope.tombstoneType = tombstone.isEmpty ? nil : tombstone }
        tombstoneType = tombstone
    }

    private typealias Field = WritableKeyPath<EnvelopeMapping, [FieldReference]> & Sendable

    /// The mapped fields that differ from the format.
    private var changes: [(field: any Field, references: [FieldReference])] = []
    /// The same in the notation of the file.
    private var mapped: [(key: String, text: String)] = []
    private var tombstoneType: String?

    /// The reader of records for this file.
    var reader: EnvelopeReader {
        EnvelopeReader(format) { mapping in
            for (path, references) in changes { mapping[keyPath: path] = references }
            if let tombstoneType { mapping.tombstoneType = tombstoneType.isEmpty ? nil : tombstoneType }
        }
    }

    /// A text of all settings that determine the rows. The order of topics does not.
    var definition: String {
        var lines = [
            "topics \(topics.sorted())", "mode \(mode.rawValue)", "order \(order.rawValue)",
            "strict_sequence \(strictSequence)", "unknown_types \(unknownTypes.rawValue)", "types \(typeOrder)",
            "format \(format.rawValue)", "tombstone_type \(tombstoneType ?? "∅")",
        ]
        lines += mapped.map { "\($0.key) \($0.text)" }
        return lines.joined(separator: "\n")
    }

    private func check(_ section: SectionReader) {
        if topics.isEmpty { section.reject("topics", "names no topic") }
        if strictSequence && order == .none { section.reject("strict_sequence", "needs order = \"key\"") }
        if strictSequence && envelope.sequence.isEmpty {
            section.reject("strict_sequence", "needs envelope.sequence, which this format does not have")
        }
    }

    static func problem(ofName name: String) -> String? {
        let isLetter: (UInt8) -> Bool = { $0 &- UInt8(ascii: "a") < 26 }
        let isFit =
            name.utf8.first.map(isLetter) == true && name.utf8.count <= 40
            && name.utf8.allSatisfy { isLetter($0) || $0 &- UInt8(ascii: "0") < 10 || $0 == UInt8(ascii: "-") }
        return isFit ? nil : "must begin with a letter and have only a–z, 0–9 and -, at most 40 characters"
    }
}

/// The handling of events without a statement.
public enum UnknownTypePolicy: String, CaseIterable, Sendable {
    case ignore, fail
}
