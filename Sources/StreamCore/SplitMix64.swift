/// Random numbers that are the same for the same seed on every machine and with every toolchain: SplitMix64 (Sebastiano
/// Vigna).
public struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// - Parameter seed: any number. Neighbouring seeds give independent sequences. (If a seed were used as the state,
    ///   neighbouring seeds would give the same sequence, one or a few steps apart.)
    public init(seed: UInt64) {
        self.init(state: Self.mixed(seed &+ Self.step))
    }

    /// - Parameter state: well-mixed bits.
    public init(state: UInt64) {
        self.state = state
    }

    public mutating func next() -> UInt64 {
        state &+= Self.step
        return Self.mixed(state)
    }

    private static let step: UInt64 = 0x9E37_79B9_7F4A_7C15

    /// The generator's output function: a bijection, each bit of whose result depends on all bits of the value.
    public static func mixed(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
