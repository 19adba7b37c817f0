/// The names of the headers of letters and retry requests. KIP-1191 of Kafka defines `__dlq.errors.*`.
enum LetterHeader {
    static let topic: StaticString = "__dlq.errors.topic"
    static let partition: StaticString = "__dlq.errors.partition"
    static let offset: StaticString = "__dlq.errors.offset"
    static let group: StaticString = "__dlq.errors.group"
    static let deliveryCount: StaticString = "__dlq.errors.delivery.count"
    static let message: StaticString = "__dlq.errors.message"
    static let consumer: StaticString = "millrace.consumer"
    static let reason: StaticString = "millrace.reason"
    static let order: StaticString = "millrace.order"
    static let stage: StaticString = "millrace.stage"
    static let errorClass: StaticString = "millrace.error.class"
    static let originTimestamp: StaticString = "millrace.origin.timestamp"
    static let eventID: StaticString = "millrace.event-id"
    static let valueKept: StaticString = "millrace.value.kept"
    static let headersKept: StaticString = "millrace.headers.kept"
    static let keyKept: StaticString = "millrace.key.kept"
    static let action: StaticString = "millrace.action"
    static let row: StaticString = "millrace.row"

    /// The value of ``valueKept``, ``headersKept`` and ``keyKept``.
    static let inDatabase = "database"
    /// The values of ``order``: no event waits for another, or the events of a key wait.
    static let unordered = "none"
    static let ordered = "key"
    /// The values of ``row``: the row of a discarded event still exists, or was deleted with the discard.
    static let rowKept = "kept"
    static let rowForgotten = "forgotten"
}

/// The headers that letters and retry requests of Millrace have in addition to those of the original record.
public enum LetterHeaderNames {
    /// The prefixes of these names.
    public static let prefixes = ["__dlq.errors.", "millrace."]

    /// Whether a header belongs to the letter and not to the original record.
    public static func contain(_ name: String) -> Bool { prefixes.contains { name.hasPrefix($0) } }
}
