internal import RequestValues

/// The last row of a page: the texts of the columns that order the pages.
public struct QueryPosition: Sendable, Hashable {
    public let keys: [String]

    init(_ keys: [String]) {
        self.keys = keys
    }
}

/// Converts positions to opaque texts for clients. A cursor is valid only with the query and the arguments for which it
/// was created.
///
/// The bytes are a version, a seal, and each key with its length. The seal detects a cursor that is used with other
/// arguments or was changed by accident. It is not a secret: a forged cursor shows nothing that the query does not
/// show, and its keys are passed as parameters like all values.
enum QueryCursor {
    private static let version: UInt8 = 1
    private static let headLength = 9
    private static let maxTextBytes = 4_000

    static func text(_ position: QueryPosition, of query: SQLQuery, _ arguments: [QueryArgument]) -> String {
        var payload: [UInt8] = []
        for key in position.keys {
            append(UInt64(key.utf8.count), bytes: 2, to: &payload)
            payload += key.utf8
        }
        var bytes = [version]
        append(seal(payload, query, arguments), bytes: 8, to: &bytes)
        return Base64URL.text(bytes + payload)
    }

    /// - Returns: nil if the text is not a cursor, or belongs to another query or other arguments.
    static func position(in text: String, of query: SQLQuery, _ arguments: [QueryArgument]) -> QueryPosition? {
        guard text.utf8.count <= maxTextBytes, let bytes = Base64URL.bytes(of: text), bytes.count > headLength,
            bytes[0] == version
        else { return nil }
        var payload = bytes[headLength...]
        guard integer(bytes[1..<headLength]) == seal(Array(payload), query, arguments) else { return nil }
        var keys: [String] = []
        while payload.count >= 2 {
            let length = Int(integer(payload.prefix(2)))
            payload = payload.dropFirst(2)
            guard payload.count >= length, !payload.prefix(length).contains(0),
                let key = String(validating: payload.prefix(length), as: UTF8.self)
            else { return nil }
            keys.append(key)
            payload = payload.dropFirst(length)
        }
        return payload.isEmpty && keys.count == query.order.count ? QueryPosition(keys) : nil
    }

    private static func seal(_ payload: [UInt8], _ query: SQLQuery, _ arguments: [QueryArgument]) -> UInt64 {
        var hash = StableHash()
        hash.combine(query.name)
        for column in query.order { hash.combine(column.name + (column.isDescending ? " desc" : "")) }
        for argument in arguments { hash.combine(argument.canonicalText) }
        hash.combine(payload.span)
        return hash.value
    }

    private static func append(_ value: UInt64, bytes count: Int, to bytes: inout [UInt8]) {
        for place in (0..<count).reversed() { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(place * 8))) }
    }

    private static func integer(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}
