import StreamCore
import Testing

@Suite struct EventIDTests {
    @Test func readsAndWritesTheCanonicalText() throws {
        let text = "018f3c5e-7b1a-7c4d-8e2f-0123456789ab"
        let id = try #require(EventID(text))
        #expect(id.high == 0x018f_3c5e_7b1a_7c4d)
        #expect(id.low == 0x8e2f_0123_4567_89ab)
        #expect(id.description == text)
        #expect(EventID(text.uppercased()) == id)
    }

    @Test(arguments: [
        "", "018f3c5e-7b1a-7c4d-8e2f-0123456789a", "018f3c5e-7b1a-7c4d-8e2f-0123456789abc",
        "018f3c5e07b1a-7c4d-8e2f-0123456789ab", "018f3c5e-7b1a-7c4d-8e2f-0123456789ag",
        "{18f3c5e-7b1a-7c4d-8e2f-0123456789a}", "018f3c5e-7b1a-7c4d-8e2f-01234567–9ab",
    ])
    func refusesAnythingElse(_ text: String) {
        #expect(EventID(text) == nil)
    }

    @Test func ordersAsItsBytesDo() throws {
        let small = try #require(EventID("00000000-0000-0000-ffff-ffffffffffff"))
        let large = try #require(EventID("00000000-0000-0001-0000-000000000000"))
        #expect(small < large)
    }
}
