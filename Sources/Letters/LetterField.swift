public import Kafka

/// A header of a letter or of a retry request, as UTF-8 text.
public struct LetterField: Sendable, Hashable {
    /// The name is a literal, which librdkafka uses without a copy.
    public let literal: StaticString
    public let value: String
    /// The header's name.
    public var name: String { "\(literal)" }

    init(_ literal: StaticString, _ value: String) {
        self.literal = literal
        self.value = value
    }

    public static func == (left: LetterField, right: LetterField) -> Bool {
        left.name == right.name && left.value == right.value
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(value)
    }
}

extension RecordHeaders {
    /// Appends headers to the existing ones.
    public func append(_ fields: [LetterField]) {
        for field in fields { append(field.literal, field.value.utf8Span.span) }
    }
}
