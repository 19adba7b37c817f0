import StreamCore
import Testing

@Suite struct ShortTextTests {
    @Test func whatIsShortStaysAsItIs() {
        #expect("aé".shortened(toBytes: 3) == "aé")
        #expect("".shortened(toBytes: 0) == "")
    }

    @Test func beginningAndEndStay() {
        #expect("abcdefghij".shortened(toBytes: 7) == "ab…ij")
        #expect("abcdefghij".shortened(toBytes: 8) == "abc…ij")
        #expect("abcdefghij".shortened(toBytes: 3) == "…")
        #expect("abcdefghij".shortened(toBytes: 2) == "")
    }

    @Test func aLongPathLeavesTheCause() {
        let path = "$.payload" + String(repeating: "[0]", count: 600)
        let short = "\(path): expected an object, found a string".shortened(toBytes: 1_000)
        #expect(short.hasPrefix("$.payload[0]") && short.hasSuffix(": expected an object, found a string"))
        #expect(short.utf8.count <= 1_000 && short.utf8.count > 990)
    }

    @Test(arguments: 0...40)
    func noCharacterIsCutInTwo(_ limit: Int) {
        let short = String(repeating: "🙂é", count: 20).shortened(toBytes: limit)
        #expect(short.utf8.count <= limit)
        #expect(short.allSatisfy { "🙂é…".contains($0) })
    }
}
