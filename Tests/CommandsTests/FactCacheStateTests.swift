import Testing

@testable import Commands

/// Which facts are cached, and until when.
@Suite struct FactCacheStateTests {
    private let start = ContinuousClock.now

    private static func state(limit: Int = 10) -> FactCacheState<Int> {
        var state = FactCacheState<Int>(limit: limit, keptFor: .seconds(5))
        state.listening(true)
        return state
    }

    @Test func aValueIsKeptForItsTimeAlone() {
        var state = Self.state()
        state.keep(1, of: "a", at: start)
        #expect(state.value(of: "a", at: start + .milliseconds(4_999)) == 1)
        // Its use does not extend its time.
        #expect(state.value(of: "a", at: start + .seconds(5)) == nil)
        state.keep(2, of: "a", at: start + .seconds(6))
        #expect(state.value(of: "a", at: start + .seconds(10)) == 2)
    }

    @Test func thereAreNeverMoreThanTheLimitAndWhatIsUsedStays() {
        var state = Self.state()
        for number in 0..<1_000 {
            state.keep(number, of: "k\(number)", at: start)
            #expect(state.count <= 10)
            #expect(state.value(of: "k0", at: start) == 0, "the one that is used after \(number)")
        }
        #expect(state.value(of: "k999", at: start) == 999)
        #expect(state.value(of: "k900", at: start) == nil)
    }

    @Test func whatIsRemovedIsNotThere() {
        var state = Self.state(limit: 4)
        for key in ["a", "b", "c"] { state.keep(1, of: key, at: start) }
        // One fact is in the old generation, the other in the young one.
        state.remove("a")
        state.remove("c")
        #expect(["a", "b", "c"].map { state.value(of: $0, at: start) } == [nil, 1, nil])
        state.removeAll()
        #expect(state.count == 0 && state.value(of: "b", at: start) == nil)
    }

    @Test func nothingIsKeptWhileChangesAreNotHeard() {
        var state = Self.state()
        state.keep(1, of: "a", at: start)
        state.listening(false)
        #expect(state.value(of: "a", at: start) == nil)
        state.keep(1, of: "b", at: start)
        state.listening(true)
        #expect(state.value(of: "a", at: start) == nil && state.value(of: "b", at: start) == nil)
    }
}
