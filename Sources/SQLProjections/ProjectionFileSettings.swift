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
    /// For topics that have no table of their own.
    var envelope: EnvelopeSettings

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
            The read model's version. Raise it if schema.sql changes: the new version gets its own schema and consumer \
            group, and begins at the start of the topics.
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
            "unknown_types", default: UnknownTypePolicy.ignore, Self.unknownTypesText)
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
        envelope = EnvelopeSettings(
            from: reader.section("envelope", "The format of the records, and the places of an event's fields in them."))
        let tables = reader.sections(
            in: "topics",
            """
            Settings of a single topic, [topics."NAME"]: keys of [envelope], and unknown_types. Other settings are \
            those of [envelope] and [projection]. If a topic has its own format, [envelope] does not apply to it.
            """)
        for (topic, table) in tables {
            let own = TopicSettings(from: table, changing: envelope, unknownTypes)
            check(table, topic)
            if strictSequence && topics.contains(topic) && !own.envelope.hasSequence {
                table.reject(
                    "strict_sequence needs the sequence of each event: set sequence to its place in the record")
            }
            topicSettings[topic] = own
        }
        check(section)
    }

    /// What is different for a topic.
    private struct TopicSettings {
        let envelope: EnvelopeSettings
        let unknownTypes: UnknownTypePolicy
        let definition: [String]

        init(
            from section: SectionReader, changing envelope: EnvelopeSettings, _ unknownTypes: UnknownTypePolicy
        ) {
            self.envelope = EnvelopeSettings(from: section, changing: envelope)
            self.unknownTypes = section.choice(
                "unknown_types", default: unknownTypes, ProjectionFileSettings.unknownTypesText)
            definition =
                self.envelope.ownDefinition
                + (section.isConfigured("unknown_types") ? ["unknown_types \(self.unknownTypes.rawValue)"] : [])
        }
    }

    private static let unknownTypesText =
        "What happens to an event whose type has no statement: it is counted and skipped, or it fails."

    private var topicSettings: [String: TopicSettings] = [:]

    /// The policy of each topic.
    var policies: TopicPolicies {
        TopicPolicies(
            common: TopicPolicy(envelope: envelope.reader, unknownTypes: unknownTypes),
            own: topicSettings.mapValues { TopicPolicy(envelope: $0.envelope.reader, unknownTypes: $0.unknownTypes) })
    }

    /// A text of all settings that determine the rows. The order of topics does not.
    var definition: String {
        var lines = [
            "topics \(topics.sorted())", "mode \(mode.rawValue)", "order \(order.rawValue)",
            "strict_sequence \(strictSequence)", "unknown_types \(unknownTypes.rawValue)", "types \(typeOrder)",
        ]
        lines += envelope.definition
        for (topic, settings) in topicSettings.sorted(by: { $0.key < $1.key }) {
            lines += settings.definition.map { "topic \(topic.debugDescription) \($0)" }
        }
        return lines.joined(separator: "\n")
    }

    private func check(_ section: SectionReader) {
        if topics.isEmpty { section.reject("topics", "names no topic") }
        if strictSequence && order == .none { section.reject("strict_sequence", "needs order = \"key\"") }
        let usesEnvelope = topics.contains { topicSettings[$0] == nil }
        if strictSequence && usesEnvelope && !envelope.hasSequence {
            section.reject("strict_sequence", "needs envelope.sequence, which this format does not have")
        }
    }

    /// Checks the name of a topic's table.
    private func check(_ table: SectionReader, _ topic: String) {
        if topics.contains(topic) { return }
        // Without quotes, TOML takes each dot for a table in a table.
        if let meant = topics.first(where: { $0.hasPrefix(topic + ".") }) {
            table.reject("a topic's name with dots needs quotes: [topics.\"\(meant)\"]")
        } else {
            table.reject("is not in projection.topics; add it there, or remove the table")
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
