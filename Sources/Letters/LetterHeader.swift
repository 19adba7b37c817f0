/// The names of the headers of letters and of retry requests. `__dlq.errors.*` are Kafka's own, by KIP-1191.
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
    /// The value of ``order`` where no event waits for another, and where those of a key do.
    static let unordered = "none"
    static let ordered = "key"
    /// Values of ``row``: a discarded event has its row still, or has had none since it was discarded.
    static let rowKept = "kept"
    static let rowForgotten = "forgotten"
}

/// The headers that our letters and retry requests have beside those of the original record.
public enum LetterHeaderNames {
    /// The names begin with one of these.
    public static let prefixes = ["__dlq.errors.", "millrace."]

    /// Whether a header is a letter's own, and not the original record's.
    public static func contain(_ name: String) -> Bool { prefixes.contains { name.hasPrefix($0) } }
}
