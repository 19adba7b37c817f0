import StreamCore
import Testing

@Suite struct FNV1aTests {
    /// The authors' test vectors (draft-eastlake-fnv).
    @Test(
        arguments: [
            ("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8),
        ] as [(String, UInt64)])
    func hashesAreThoseOfItsAuthors(_ text: String, hash: UInt64) {
        #expect(FNV1a.hash(text) == hash)
    }

    @Test func aSeedGivesOtherHashes() {
        var (plain, seeded) = (FNV1a(), FNV1a(seed: 1))
        plain.combine(7)
        seeded.combine(7)
        #expect(plain.value != seeded.value)
    }
}
