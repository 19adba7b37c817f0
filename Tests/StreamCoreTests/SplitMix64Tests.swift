import StreamCore
import Testing

@Suite struct SplitMix64Tests {
    /// The numbers were computed with the author's own program (Sebastiano Vigna, splitmix64.c) from the state 1234567.
    @Test func numbersAreThoseOfItsAuthor() {
        var random = SplitMix64(state: 1_234_567)
        let numbers = (0..<5).map { _ in random.next() }
        #expect(
            numbers == [
                6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
                4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
            ])
    }

    @Test func neighbouringSeedsShareNoNumbers() {
        let step: UInt64 = 0x9E37_79B9_7F4A_7C15
        // Some seeds differ by a multiple of the generator's step. If a seed were used as the state, their sequences
        // would overlap.
        let seeds = (0..<200).map { UInt64($0) } + (2..<200).map { UInt64($0) &* step }
        var numbers: Set<UInt64> = []
        for seed in seeds {
            var random = SplitMix64(seed: seed)
            for _ in 0..<100 { numbers.insert(random.next()) }
        }
        #expect(numbers.count == seeds.count * 100)
    }

    @Test func theSameSeedGivesTheSameNumbers() {
        var (one, other) = (SplitMix64(seed: 42), SplitMix64(seed: 42))
        let same = (0..<100).allSatisfy { _ in one.next() == other.next() }
        #expect(same)
    }
}
