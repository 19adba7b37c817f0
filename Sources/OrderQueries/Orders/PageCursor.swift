internal import RequestValues
internal import StreamCore

/// The position of the last order of a page: the value by which its list is ordered, and its id.
struct PagePosition: Hashable, Sendable {
    enum Key: Hashable, Sendable {
        case time(Timestamp)
        /// The digits of a decimal.
        case amount(String)
    }

    let key: Key
    let orderID: String

    init(_ key: Key, _ orderID: String) {
        self.key = key
        self.orderID = orderID
    }
}

/// Converts positions to cursors: opaque texts that clients send to request the next page. A cursor is valid only with
/// the filter that it was created for.
///
/// The bytes are a version, a checksum of the filter and the position, the key of the position, and the order's id. The
/// checksum detects a cursor that was used with another filter or changed by accident. It is not a secret: a forged
/// cursor shows nothing that its filter does not show.
enum PageCursor {
    private static let version: UInt8 = 1
    private static let headLength = 9
    /// Enough for the longest id, the key and the head, in base64.
    private static let maxTextBytes = 1_500

    static func text(_ position: PagePosition, for filter: OrderFilter) -> String {
        let payload = payload(of: position)
        var bytes = [version]
        append(seal(payload, filter), to: &bytes)
        return Base64URL.text(bytes + payload)
    }

    /// - Returns: nil if the text is not a cursor, or is a cursor of another filter.
    static func position(in text: String, for filter: OrderFilter) -> PagePosition? {
        guard text.utf8.count <= maxTextBytes, let bytes = Base64URL.bytes(of: text), bytes.count > headLength,
            bytes[0] == version
        else { return nil }
        let payload = Array(bytes[headLength...])
        guard integer(bytes[1..<headLength]) == seal(payload, filter) else { return nil }
        return position(of: payload, isByTime: filter.sort.isByTime)
    }

    private static func payload(of position: PagePosition) -> [UInt8] {
        var payload: [UInt8] = []
        switch position.key {
        case .time(let time):
            append(UInt64(bitPattern: time.microseconds), to: &payload)
        case .amount(let digits):
            payload.append(UInt8(truncatingIfNeeded: digits.utf8.count))
            payload += digits.utf8
        }
        return payload + position.orderID.utf8
    }

    private static func position(of payload: [UInt8], isByTime: Bool) -> PagePosition? {
        if isByTime {
            guard payload.count >= 8, let orderID = orderID(in: payload[8...]) else { return nil }
            let microseconds = Int64(bitPattern: integer(payload[..<8]))
            guard fourDigitYears.contains(microseconds) else { return nil }
            return PagePosition(.time(Timestamp(microseconds: microseconds)), orderID)
        }
        guard let length = payload.first, length > 0, payload.count > Int(length),
            let digits = String(validating: payload[1...Int(length)], as: UTF8.self),
            isNumeric(digits),
            let orderID = orderID(in: payload[(Int(length) + 1)...])
        else { return nil }
        return PagePosition(.amount(digits), orderID)
    }

    /// The times that the text of a timestamp can represent, in microseconds since 1970. PostgreSQL's type has a larger
    /// range.
    private static let fourDigitYears: Range<Int64> = -62_167_219_200_000_000..<253_402_300_800_000_000

    /// PostgreSQL's text cannot contain NUL.
    private static func orderID(in bytes: ArraySlice<UInt8>) -> String? {
        bytes.contains(0) ? nil : String(validating: bytes, as: UTF8.self)
    }

    /// Amounts come from events, so they may have any number of digits and either sign.
    private static func isNumeric(_ text: String) -> Bool {
        let parts = (text.first == "-" ? text.dropFirst() : text[...])
            .split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        return parts.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) } }
    }

    private static func seal(_ payload: [UInt8], _ filter: OrderFilter) -> UInt64 {
        var hash = StableHash()
        filter.combine(into: &hash)
        hash.combine(payload.span)
        return hash.value
    }

    private static func append(_ value: UInt64, to bytes: inout [UInt8]) {
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    private static func integer(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
