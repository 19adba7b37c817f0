internal import StreamCore

/// A generator whose numbers depend only on the seed, not on the machine or the toolchain: xoshiro256** (Blackman,
/// Vigna), with its state initialised by SplitMix64.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// - Parameters:
    ///   - seed: the seed of the run.
    ///   - stream: selects one of many independent streams of the seed.
    public init(seed: UInt64, stream: UInt64 = 0) {
        let mixed = SplitMix64.mixed(seed) ^ SplitMix64.mixed(stream &+ 0x9E37_79B9_7F4A_7C15)
        var filler = SplitMix64(state: mixed)
        state = (filler.next(), filler.next(), filler.next(), filler.next())
    }

    public mutating func next() -> UInt64 {
        let scrambled = Self.rotated(state.1 &* 5, by: 7) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = Self.rotated(state.3, by: 45)
        return scrambled
    }

    private static func rotated(_ value: UInt64, by bits: UInt64) -> UInt64 {
        value << bits | value >> (64 - bits)
    }

    /// A number in 0..<1 with 53 random bits.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// A number in 0..<`bound`; `bound` is above 0.
    mutating func below(_ bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(bound)).high) }

    /// Returns true with this probability.
    mutating func chance(_ probability: Double) -> Bool { unit() < probability }

    /// Selects one of `choices`, which must not be empty.
    mutating func pick<Choice>(_ choices: [Choice]) -> Choice { choices[below(choices.count)] }
}
