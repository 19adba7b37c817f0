internal import StreamCore
internal import WireJSON

/// Selects the records for which all conditions hold.
public struct RecordFilter: Sendable {
    public var conditions: [RecordCondition]

    public init(_ conditions: [RecordCondition] = []) {
        self.conditions = conditions
    }

    func matches(_ record: borrowing some TailRecord) -> Bool {
        for condition in conditions where !condition.holds(for: record) { return false }
        return true
    }
}

/// A condition on a record.
public indirect enum RecordCondition: Sendable, Equatable {
    /// The key equals these bytes.
    case key([UInt8])
    /// The value contains these bytes.
    case contains([UInt8])
    /// The last header with this name passes the test.
    case header(name: [UInt8], HeaderTest)
    /// The value is JSON, and the condition on a path in it holds.
    case json(JSONCondition)
    /// The record is an event of one of these types. The type is that of a header (``EventTypeHeader``), or else of the
    /// member `eventType` of the value.
    case type([[UInt8]])
    /// The record's timestamp is not before this time, in milliseconds since 1970. A record without a timestamp passes.
    case notBefore(Int64)
    /// At least one of these conditions holds.
    case any([RecordCondition])

    public enum HeaderTest: Sendable, Equatable {
        case exists
        case equals([UInt8])
        case differs([UInt8])
    }

    /// Parses `name=value`, `name!=value` or `name` (the header exists).
    ///
    /// - Throws: ``TailSyntaxError``.
    public static func header(parsing text: String) throws(TailSyntaxError) -> RecordCondition {
        let name: Substring
        let test: HeaderTest
        if let equals = text.firstIndex(of: "=") {
            let value = Array(text[text.index(after: equals)...].utf8)
            let isNegated = text[..<equals].hasSuffix("!")
            name = isNegated ? text[..<equals].dropLast() : text[..<equals]
            test = isNegated ? .differs(value) : .equals(value)
        } else {
            (name, test) = (text[...], .exists)
        }
        guard !name.isEmpty else {
            throw TailSyntaxError("a header condition has the form name=value, name!=value or name")
        }
        return .header(name: Array(name.utf8), test)
    }

    /// Selects the events of an aggregate, by the key or by the member `aggregateId` of the value.
    public static func aggregate(_ id: String) -> RecordCondition {
        .any([.key(Array(id.utf8)), .json(JSONCondition(members: ["aggregateId"], equals: id))])
    }

    /// Selects the events of an aggregate, and those whose payload contains its id in this member.
    public static func aggregate(_ id: String, orReferredToBy member: String) -> RecordCondition {
        .any([aggregate(id), .json(JSONCondition(members: ["payload", member], equals: id))])
    }

    func holds(for record: borrowing some TailRecord) -> Bool {
        switch self {
        case .key(let wanted): return record.key?.isEqual(to: wanted.span) ?? false
        case .contains(let wanted):
            guard let value = record.value else { return false }
            return ByteSearch.contains(value, wanted.span)
        case .header(let name, let test): return Self.holds(test, ofHeader: name, record)
        case .json(let condition): return condition.holds(for: record.value)
        case .type(let types): return Self.isEvent(record, ofTypes: types)
        case .notBefore(let earliest): return record.timestampMs.map { $0 >= earliest } ?? true
        case .any(let conditions):
            for condition in conditions where condition.holds(for: record) { return true }
            return false
        }
    }

    private static func holds(
        _ test: HeaderTest, ofHeader wanted: [UInt8], _ record: borrowing some TailRecord
    ) -> Bool {
        var isThere = false
        var isEqual = false
        record.forEachHeader { name, value in
            guard name.isEqual(to: wanted.span) else { return }
            isThere = true
            switch test {
            case .exists: break
            case .equals(let text), .differs(let text): isEqual = value?.isEqual(to: text.span) ?? false
            }
        }
        switch test {
        case .exists: return isThere
        case .equals: return isEqual
        case .differs: return !isEqual
        }
    }

    private static func isEvent(_ record: borrowing some TailRecord, ofTypes types: [[UInt8]]) -> Bool {
        if let named = EventGlance.typeInHeaders(of: record) { return types.contains(named) }
        for type in types {
            let condition = JSONCondition(members: ["eventType"], equals: String(decoding: type, as: UTF8.self))
            if condition.holds(for: record.value) { return true }
        }
        return false
    }
}
