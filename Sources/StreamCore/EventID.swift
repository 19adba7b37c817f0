/// The id of an event: a UUID, stored as its 16 bytes, so that comparing, hashing and sending it to PostgreSQL need no
/// text.
public struct EventID: Hashable, Sendable {
    /// The first eight bytes of the UUID, big-endian.
    public let high: UInt64
    /// The last eight bytes of the UUID, big-endian.
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Parses the canonical text of RFC 9562, `8-4-4-4-12` hexadecimal digits in either case.
    ///
    /// - Returns: nil if `text` has another form.
    public init?(_ text: String) {
        self.init(utf8: text.utf8Span.span)
    }

    /// Parses the canonical text of RFC 9562 from its UTF-8 bytes.
    ///
    /// - Returns: nil if the bytes have another form.
    public init?(utf8: Span<UInt8>) {
        guard utf8.count == 36 else { return nil }
        var words: (UInt64, UInt64) = (0, 0)
        var digits = 0
        for index in 0..<36 {
            let byte = utf8[index]
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            guard let nibble = Self.nibble(of: byte) else { return nil }
            if digits < 16 { words.0 = words.0 << 4 | nibble } else { words.1 = words.1 << 4 | nibble }
            digits += 1
        }
        self.init(high: words.0, low: words.1)
    }

    /// The value of a hexadecimal digit. It has no branches on the byte, because a processor could not predict them.
    @inline(__always)
    private static func nibble(of byte: UInt8) -> UInt64? {
        let (digit, letter) = (byte &- UInt8(ascii: "0"), (byte | 0x20) &- UInt8(ascii: "a"))
        let nibble = digit < 10 ? digit : letter &+ 10
        return digit < 10 || letter < 6 ? UInt64(nibble) : nil
    }
}

extension EventID: Comparable {
    public static func < (left: EventID, right: EventID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension EventID: LosslessStringConvertible {
    /// The canonical lower-case text, 36 characters.
    public var description: String {
        let text = text
        // SAFETY: the buffer does not leave the closure, and the string copies it.
        return unsafe text.span.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
    }

    /// The canonical lower-case text, in ASCII.
    public var text: InlineArray<36, UInt8> {
        var text = InlineArray<36, UInt8>(repeating: UInt8(ascii: "-"))
        var index = 0
        for digit in 0..<32 {
            if digit == 8 || digit == 12 || digit == 16 || digit == 20 { index += 1 }
            let word = digit < 16 ? high : low
            let nibble = UInt8(truncatingIfNeeded: word >> UInt64(60 - 4 * (digit % 16))) & 0xF
            text[index] = nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
            index += 1
        }
        return text
    }
}
