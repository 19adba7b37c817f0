/// FNV-1a of 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv): a hash that is the same in every process and release. It
/// distinguishes names and gives no protection against attackers. Values are stored and shared between processes, so it
/// must not change.
public struct FNV1a: Sendable {
    /// The hash of all bytes so far.
    @inlinable public var value: UInt64 { state }
    @usableFromInline var state: UInt64

    /// - Parameter seed: another seed gives other hashes.
    public init(seed: UInt64 = 0) {
        state = 0xcbf2_9ce4_8422_2325 ^ seed
    }

    /// The hash of a text's bytes.
    public static func hash(_ text: String) -> UInt64 {
        var hash = FNV1a()
        for byte in text.utf8 { hash.combine(byte) }
        return hash.value
    }

    @inlinable public mutating func combine(_ byte: UInt8) { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }
}
