internal import StreamCore

/// A hash that is the same in every process and release: FNV-1a with MurmurHash3's finaliser, which separates similar
/// values.
struct StableHash {
    private var bytes: FNV1a

    init(seed: UInt64 = 0) {
        bytes = FNV1a(seed: seed)
    }

    mutating func mix(_ byte: UInt8) { bytes.combine(byte) }

    mutating func mix(_ number: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) { mix(UInt8(truncatingIfNeeded: number >> shift)) }
    }

    var value: UInt64 {
        let state = bytes.value
        var hash = (state ^ state >> 33) &* 0xff51_afd7_ed55_8ccd
        hash = (hash ^ hash >> 33) &* 0xc4ce_b9fe_1a85_ec53
        return hash ^ hash >> 33
    }
}
