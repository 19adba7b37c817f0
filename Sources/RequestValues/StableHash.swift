/// A hash of bytes that is the same in every process and release, for entity tags and the seals of cursors.
///
/// It detects accidental changes but not attacks. The protected values contain nothing that their owner may not see.
public struct StableHash {
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    private var length: UInt64 = 0

    public init() {}

    /// The hash of all bytes so far.
    public var value: UInt64 { Self.mixed(state ^ length) }

    public mutating func combine(_ bytes: Span<UInt8>) {
        var index = 0
        while index &+ 8 <= bytes.count {
            // SAFETY: the load checks that it is within the span, and any bits form an integer.
            let word = unsafe bytes.bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self)
            feed(UInt64(littleEndian: word))
            index &+= 8
        }
        var rest: UInt64 = 0
        var shift: UInt64 = 0
        while index < bytes.count {
            rest |= UInt64(bytes[index]) << shift
            shift += 8
            index &+= 1
        }
        feed(rest)
        length &+= UInt64(bytes.count)
    }

    public mutating func combine(_ text: String) { combine(text.utf8Span.span) }

    @inline(__always)
    private mutating func feed(_ word: UInt64) {
        state = (state ^ word) &* 0xFF51_AFD7_ED55_8CCD
        state ^= state >> 32
    }

    /// The last steps of MurmurHash3's 64-bit finalizer.
    private static func mixed(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed ^= mixed >> 33
        mixed &*= 0xFF51_AFD7_ED55_8CCD
        mixed ^= mixed >> 33
        mixed &*= 0xC4CE_B9FE_1A85_EC53
        mixed ^= mixed >> 33
        return mixed
    }
}
