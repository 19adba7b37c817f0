import Testing

@testable import Projections

@Suite struct FailureSearchTests {
    /// Runs the search to its end. Returns the failing events, the applied events and the number of tries.
    private func run(
        _ failing: Set<Int>, of count: Int, reach: Int? = nil,
        suspecting suspect: (Range<Int>) -> Int? = { _ in nil }
    ) -> (found: [Int], applied: [Int], tries: Int) {
        var search =
            reach.map { FailureSearch(count: count, reach: $0) }
            ?? FailureSearch(count: count, suspect: suspect(0..<count))
        var (found, applied, tries): ([Int], [Int], Int) = ([], [], 0)
        while let part = search.next, tries < 10_000 {
            tries += 1
            if part.allSatisfy({ !failing.contains($0) }) {
                applied += part
                search.succeeded()
            } else {
                if part.count == 1 { found.append(part.lowerBound) }
                search.failed(suspect: suspect(part))
            }
        }
        return (found, applied, tries)
    }

    @Test(arguments: 1..<256) func everyFailureIsFoundInOrder(bits: Int) {
        let failing = Set((0..<8).filter { bits >> $0 & 1 == 1 })
        for suspicion in [{ _ in nil }, { part in part.first(where: failing.contains) }, { $0.last }, { _ in 99 }]
            as [(Range<Int>) -> Int?]
        {
            for reach in [nil, 1, 3, 8, 100] {
                let outcome = run(failing, of: 8, reach: reach, suspecting: suspicion)
                #expect(outcome.found == failing.sorted())
                #expect(outcome.applied == (0..<8).filter { !failing.contains($0) })
            }
        }
    }

    @Test func nothingFailingByItselfIsNone() {
        #expect(run([], of: 5) == ([], [0, 1, 2, 3, 4], 2))
        #expect(run([], of: 0).tries == 0)
        #expect(run([], of: 0, reach: 10).tries == 0)
        #expect(run([], of: 1_500, reach: 100).tries == 4)
    }

    @Test func oneAmongManyCostsItsLogarithm() {
        let outcome = run([1_234], of: 4_096)
        #expect(outcome.found == [1_234])
        #expect(outcome.tries <= 24)
    }

    @Test func suspectsCostFewTriesEach() {
        let failing = Set(stride(from: 50, to: 2_000, by: 100))
        let outcome = run(failing, of: 2_000) { part in part.first(where: failing.contains) }
        #expect(outcome.found == failing.sorted())
        #expect(outcome.tries <= 5 * failing.count)
    }
}
