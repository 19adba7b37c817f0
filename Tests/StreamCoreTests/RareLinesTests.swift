import StreamCore
import Testing

@Suite struct RareLinesTests {
    private let start = ContinuousClock.now

    /// Whether a line is due at each of these seconds.
    private func due(_ lines: inout RareLines, _ kind: String, _ seconds: [Int]) -> [Bool] {
        seconds.map { lines.isDue(kind, start + .seconds($0)) }
    }

    @Test func eachKindIsDueAtOnceAndThenOnceInAWhile() {
        var lines = RareLines(every: .seconds(60))
        let first = due(&lines, "away", [0, 1, 59, 60, 61, 119, 120])
        #expect(first == [true, false, false, true, false, false, true])
        let other = due(&lines, "kafka", [61, 62])
        #expect(other == [true, false])
    }

    @Test func whatIsOverIsSaidAtOnceWhenItBeginsAnew() {
        var lines = RareLines(every: .seconds(60))
        let unknown = lines.end("away")
        _ = due(&lines, "away", [0])
        let known = lines.end("away")
        let again = due(&lines, "away", [1])
        #expect(!unknown && known && again == [true])
    }

    @Test func whatIsRememberedHasALimit() {
        var lines = RareLines(every: .seconds(60))
        for number in 0..<1_000 { _ = lines.isDue("\(number)", start) }
        let remembered = lines.isDue("0", start)
        _ = lines.isDue("one more", start)
        let forgotten = lines.isDue("0", start)
        #expect(!remembered && forgotten)
    }
}
