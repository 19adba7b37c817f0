extension EventID {
    /// A UUID of version 7 (RFC 9562): 48 bits of milliseconds, 12 bits of the rest of the time, and 62 random bits.
    /// Ids that are created one after the other are next to each other in an index.
    public init(version7At time: Timestamp, using random: inout some RandomNumberGenerator) {
        let microseconds = UInt64(max(time.microseconds, 0))
        let (milliseconds, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000)
        self.init(
            high: milliseconds << 16 | 0x7000 | rest * 4_096 / 1_000,
            low: random.next() >> 2 | 0x8000_0000_0000_0000)
    }
}
