internal import StreamCore

/// A hash that is equal for failures with one cause: 16 hexadecimal digits, the same for the same error class and the
/// same message, apart from values that vary between events.
///
/// The message is first normalised. Quoted text becomes `<>`. A word with a digit (numbers, UUIDs, hexadecimal, times,
/// addresses, ids) becomes `#`, and so do hexadecimal words of eight letters or more and words with an `@`. A list of
/// such words becomes one. Letters become lower case, and white space becomes one space. The first 256 bytes count.
/// ``FNV1a`` hashes class and message. Neither rule may change, because groups are stored with the fingerprint.
public struct Fingerprint: Sendable, Hashable, CustomStringConvertible {
    private let hash: UInt64

    public init(errorClass: String, message: String) {
        var hash = FNV1a()
        for byte in errorClass.utf8 { hash.combine(byte) }
        hash.combine(0)
        for byte in Self.plain(message) { hash.combine(byte) }
        self.hash = hash.value
    }

    /// 16 hexadecimal digits.
    public var description: String {
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private static let limit = 256

    /// The message without varying values.
    static func plain(_ message: String) -> [UInt8] {
        let bytes = Array(message.utf8)
        var result: [UInt8] = []
        var position = 0
        while position < bytes.count, result.count < limit {
            let byte = bytes[position]
            if let end = endOfQuote(bytes, position) {
                result += [UInt8(ascii: "<"), UInt8(ascii: ">")]
                position = end
            } else if isWord(byte) {
                var end = position + 1
                while end < bytes.count, isWord(bytes[end]) || isJoint(bytes, end) { end += 1 }
                append(word: bytes[position..<end], to: &result)
                position = end
            } else {
                if byte > 0x20 {
                    result.append(byte)
                } else if let last = result.last, last != UInt8(ascii: " ") {
                    result.append(UInt8(ascii: " "))
                }
                position += 1
            }
        }
        if result.last == UInt8(ascii: " ") { result.removeLast() }
        return Array(result.prefix(limit))
    }

    private static func append(word: ArraySlice<UInt8>, to result: inout [UInt8]) {
        let hasDigit = word.contains { isDigit($0) }
        let isHexadecimal = word.count >= 8 && word.allSatisfy { (0x61...0x66).contains($0 | 0x20) }
        guard hasDigit || isHexadecimal || word.contains(UInt8(ascii: "@")) else {
            for byte in word { result.append((0x41...0x5A).contains(byte) ? byte | 0x20 : byte) }
            return
        }
        // "1, 2, 3" is as much as "1, 2".
        var end = result.count
        while end > 0, separators.contains(result[end - 1]) { end -= 1 }
        if end > 0, end < result.count, result[end - 1] == UInt8(ascii: "#") {
            result.removeSubrange(end...)
        } else {
            result.append(UInt8(ascii: "#"))
        }
    }

    /// The end of the quotation that begins here; nil if there is none. An apostrophe within a word does not begin one.
    private static func endOfQuote(_ bytes: [UInt8], _ start: Int) -> Int? {
        let quote = bytes[start]
        guard quotes.contains(quote), start == 0 || !isWord(bytes[start - 1]) else { return nil }
        var position = start + 1
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "\\") {
                position += 2
                continue
            }
            if bytes[position] == quote, position + 1 == bytes.count || !isWord(bytes[position + 1]) {
                return position + 1
            }
            position += 1
        }
        return nil
    }

    private static let quotes: Set<UInt8> = [UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "`")]
    private static let separators: Set<UInt8> = [UInt8(ascii: " "), UInt8(ascii: ","), UInt8(ascii: ";")]
    private static let joints: Set<UInt8> = [
        UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: ":"), UInt8(ascii: "+"), UInt8(ascii: "@"),
    ]

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

    private static func isWord(_ byte: UInt8) -> Bool {
        isDigit(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == UInt8(ascii: "_") || byte >= 0x80
    }

    /// A character between two parts of one word: `2026-11-21T10:00:00.5Z`, `10.0.0.1:9092`, `o-17`.
    private static func isJoint(_ bytes: [UInt8], _ index: Int) -> Bool {
        joints.contains(bytes[index]) && index + 1 < bytes.count && isWord(bytes[index + 1])
    }
}
