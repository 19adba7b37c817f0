internal import StreamCore

/// Names of topics.
enum Topic {
    /// Whether Kafka allows the name: 1–249 letters, digits, `.`, `_`, `-`, and neither `.` nor `..` (Kafka's
    /// `org.apache.kafka.common.internals.Topic`).
    static func isLegal(_ name: String) -> Bool {
        guard (1...249).contains(name.utf8.count), name != ".", name != ".." else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }
}

/// Maps aggregate types to topics.
struct TopicRule: Sendable, Hashable {
    let prefix: String
    let suffix: String
    let lowercases: Bool

    /// The topic is the aggregate type in lower case plus a suffix.
    init(suffix: String) {
        prefix = ""
        self.suffix = suffix
        lowercases = true
    }

    /// The topic is Debezium's `route.topic.replacement`, in which `${routedByValue}` stands for the aggregate type.
    init(template: String) {
        let parts = template.split(separator: "${routedByValue}", maxSplits: 1, omittingEmptySubsequences: false)
        prefix = String(parts[0])
        suffix = parts.count > 1 ? String(parts[1]) : ""
        lowercases = false
        hasPlace = parts.count > 1
    }

    private var hasPlace = true

    func name(for aggregateType: String) -> String {
        guard hasPlace else { return prefix }
        return prefix + (lowercases ? aggregateType.lowercased() : aggregateType) + suffix
    }
}

/// Caches topics by the bytes of a row that determine them, so a row needs a comparison but no new string.
struct TopicNames {
    struct Entry {
        fileprivate let source: [UInt8]
        let name: String
        let isLegal: Bool
    }

    /// Maximum number of cached names. An outbox usually has a few.
    private static let limit = 64

    private let rule: TopicRule
    private var byType: [Entry] = []
    private var byName: [Entry] = []

    init(rule: TopicRule) {
        self.rule = rule
    }

    /// - Parameter explicit: the topic that the row specifies.
    mutating func topic(aggregateType: Span<UInt8>, explicit: Span<UInt8>?) -> Entry {
        if let explicit {
            return Self.find(explicit, in: &byName) { $0 }
        }
        let rule = rule
        return Self.find(aggregateType, in: &byType) { rule.name(for: $0) }
    }

    private static func find(
        _ source: Span<UInt8>, in entries: inout [Entry], _ makeName: (String) -> String
    ) -> Entry {
        for index in entries.indices where source.isEqual(to: entries[index].source) { return entries[index] }
        let bytes = Array(copying: source)
        let name = makeName(String(decoding: bytes, as: UTF8.self))
        let entry = Entry(source: bytes, name: name, isLegal: Topic.isLegal(name))
        if entries.count >= limit { entries.removeAll() }
        entries.append(entry)
        return entry
    }
}

extension Span where Element == UInt8 {
    func isEqual(to other: [UInt8]) -> Bool {
        guard count == other.count else { return false }
        for index in indices where self[index] != other[index] { return false }
        return true
    }
}
