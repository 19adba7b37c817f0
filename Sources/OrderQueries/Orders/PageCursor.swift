internal import RequestValues
internal import StreamCore

/// The last order of a page, by what its list is ordered by.
struct PagePosition: Hashable, Sendable {
    enum Key: Hashable, Sendable {
        case time(Timestamp)
        /// A decimal's digits.
        case amount(String)
    }

    let key: Key
    let orderID: String

    init(_ key: Key, _ orderID: String) {
        self.key = key
        self.orderID = orderID
    }
}

/// Positions as clients carry them from page to page: opaque text that is worth something only with the filter it was
/// made for.
///
/// The bytes are a version, a seal over the filter and the rest, the key, and the order's id. The seal keeps a cursor
/// from being used with another filter, or changed, by accident. It is no secret: a forged one would show nothing that
/// its filter does not.
enum PageCursor {
    private static let version: UInt8 = 1
    private static let headLength = 9
    /// The longest id, the key and the head, in base64.
    private static let maxTextBytes = 1_500

    static func text(_ position: PagePosition, for filter: OrderFilter) -> String {
        let payload = payload(of: position)
        var bytes = [version]
        append(seal(payload, filter), to: &bytes)
        return Base64URL.text(bytes + payload)
    }

    /// - Returns: nil when the text is no cursor, or one of another filter.
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

    /// What a timestamp's text can say, in microseconds since 1970; PostgreSQL's type ends somewhere beyond.
    private static let fourDigitYears: Range<Int64> = -62_167_219_200_000_000..<253_402_300_800_000_000

    /// PostgreSQL's text holds everything but NUL.
    private static func orderID(in bytes: ArraySlice<UInt8>) -> String? {
        bytes.contains(0) ? nil : String(validating: bytes, as: UTF8.self)
    }

    /// Amounts are as events brought them: of any number of digits, and of any sign.
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
