/// Finds the bytes of a string that need attention, eight bytes at a time.
enum ByteScan {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highBits: UInt64 = 0x8080_8080_8080_8080

    /// The first offset in `start..<bytes.count` whose byte ends or interrupts the text of a JSON string: `"`, `\` or a
    /// control character below 0x20. `bytes.count` if there is none.
    @inline(__always)
    static func firstSpecial(in bytes: Span<UInt8>, from start: Int) -> Int {
        var index = start
        // SAFETY: eight bytes are read as one integer, for which all bit patterns are valid.
        let raw = unsafe bytes.bytes
        while index <= bytes.count &- 8 {
            // SAFETY: the loop's condition keeps the eight bytes inside the span.
            let loaded = unsafe raw.unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: UInt64.self)
            let word = UInt64(littleEndian: loaded)
            let found = specials(word)
            if found != 0 { return index &+ found.trailingZeroBitCount >> 3 }
            index &+= 8
        }
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte < 0x20 { return index }
            index &+= 1
        }
        return index
    }

    /// Sets the high bit of each special byte. The subtraction may borrow from the next byte, so bits above the lowest
    /// set bit may be wrong. The lowest is always right, and callers use only that one.
    @inline(__always)
    private static func specials(_ word: UInt64) -> UInt64 {
        let quote = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
        let backslash = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
        let quotes = (quote &- ones) & ~quote
        let backslashes = (backslash &- ones) & ~backslash
        let controls = (word &- ones &* 0x20) & ~word
        return (quotes | backslashes | controls) & highBits
    }
}
