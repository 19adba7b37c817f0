import StreamCore
import Testing

@testable import Projections

@Suite struct FailureTallyTests {
    /// Describes a slice in words. A word consists of a partition, an event type and a result: `+` is applied, `=` is a
    /// duplicate, `!` fails, `?` fails with another class, `~` is blocked, `r` is a retry that is applied, and `R` is a
    /// retry that fails again. For example, `0A!` is an event of type A in partition 0 that fails. The type `_` is
    /// unknown.
    private func subjects(_ words: String) -> [FailureTally.Subject] {
        words.split(separator: " ").enumerated().map { item, word in
            let letters = Array(word)
            let partition = letters[0] == "0" ? p0 : p1
            let verdict: ParkingPlan.Verdict =
                switch letters[2] {
                case "!", "?": .parkFailed
                case "~": .parkBlocked
                case "r": .resolve
                case "R": .failAgain
                default: .apply
                }
            return FailureTally.Subject(
                item: item, part: partition == p0 ? 0 : 1, partition: partition, verdict: verdict,
                isApplied: letters[2] != "=", errorClass: letters[2] == "?" ? "other" : "bad",
                eventType: letters[1] == "_" ? "" : String(letters[1]))
        }
    }

    private func tally(_ words: String, after: String = "", limit: Int = 3) -> FailureTally {
        var before = FailureTally([:], limit: limit)
        for subject in subjects(after) { before.count(subject) }
        var tally = FailureTally(before.counts, limit: limit)
        for subject in subjects(words) { tally.count(subject) }
        return tally
    }

    private func counts(_ tally: FailureTally, _ partition: TopicPartition = p0) -> [String: Int] {
        let counts = tally.counts[partition]?.counts ?? [:]
        return Dictionary(
            uniqueKeysWithValues: counts.map { ("\($0.eventType)/\($0.errorClass)", $1.failures) })
    }

    @Test func failuresAreCountedByTypeAndClass() {
        #expect(counts(tally("0A! 0A! 0A? 0B!", limit: 9)) == ["A/bad": 2, "A/other": 1, "B/bad": 1, "/": 4])
    }

    @Test func onlyItsOwnTypeEndsACount() {
        #expect(counts(tally("0A! 0B+ 0A! 0B+", limit: 9)) == ["A/bad": 2])
        #expect(counts(tally("0A! 0A? 0B! 0A+", limit: 9)) == ["B/bad": 1])
        #expect(tally("0A! 0B+ 0A! 0B+ 0A!").isOpen(p0), "successes of another type do not end the count")
        #expect(!tally("0A! 0A! 0A+ 0A! 0A!").isOpen(p0))
    }

    @Test func anEventAppliedBeforeEndsNothing() {
        #expect(counts(tally("0A! 0A=")) == ["A/bad": 1, "/": 1])
    }

    @Test func whatIsOfUnknownTypeCountsUntilAnythingIsApplied() {
        #expect(counts(tally("0_! 0_!")) == ["/": 2])
        #expect(counts(tally("0_! 0B+ 0_!")) == ["/": 1])
        #expect(tally("0_! 0_! 0_!").isOpen(p0))
    }

    @Test func whatIsBlockedCountsFromTheSecondFailureOn() {
        #expect(counts(tally("0A! 0A~ 0A~")) == ["A/bad": 1, "/": 1])
        #expect(tally("0A! 0A! 0B~").isOpen(p0))
        #expect(!tally("0A! 0A~ 0A~ 0A~ 0A~").isOpen(p0), "the failures of a single key do not show a bad release")
        #expect(
            tally("0A~", after: "0A! 0A! 0A!").counts[p0]?[.run]?.failures == 4,
            "every blocked event counts while the circuit breaker is open")
    }

    @Test func partitionsAreCountedApart() {
        let both = tally("0A! 1A! 0A! 1A+ 0A!")
        #expect(both.isOpen(p0) && !both.isOpen(p1))
        #expect(both.counts[p1]?.isEmpty != false)
    }

    @Test func retriesCountForNothing() {
        #expect(tally("0AR 0AR 0AR 0AR").isUnchanged)
        #expect(tally("0Ar", after: "0A! 0A!").isUnchanged)
    }

    @Test func changesAreWhatIsAddedToWhatIsStored() {
        let kind = FailureCounts.Kind(errorClass: "bad", eventType: "A")
        let added = tally("0A! 0A!", after: "0A!", limit: 9)
        #expect(added.changes == [p0: [kind: .init(added: 2), .run: .init(added: 2)]])
        let ended = tally("0A! 0A+ 0A!", after: "0A!", limit: 9)
        let afresh = FailureTally.Change(added: 1, isReset: true)
        #expect(ended.changes == [p0: [kind: afresh, .run: afresh]])
        #expect(tally("0B+", after: "").isUnchanged)
    }

    @Test func aSliceEndsBehindTheLastThatMayBeParked() {
        func cuts(_ words: String, after: String = "", limit: Int = 3) -> [Int: Int] {
            var tally = FailureTally(tally("", after: after, limit: limit).counts, limit: limit)
            return tally.cuts(subjects(words))
        }
        #expect(cuts("0A! 0A! 0A! 0A! 1A! 0B+") == [0: 3])
        #expect(cuts("0A! 0A! 0A!") == [:], "no event follows the last one")
        #expect(cuts("0A! 1A! 0A! 1A! 0A! 1A! 0A+ 1A+") == [0: 6, 1: 7])
        #expect(cuts("0A! 0B+ 0A! 0A+ 0A! 0A! 0A+") == [:])
        #expect(
            cuts("0B+ 0A! 0A!", after: "0A! 0A! 0A!") == [0: 2], "an open circuit breaker parks one event at a time")
        #expect(cuts("0A! 0A! 0A! 0A! 0A!", limit: 0) == [:])
    }

    @Test func kindsOfOnePartitionAreBounded() {
        var tally = FailureTally([:], limit: 1_000)
        for number in 0..<500 { tally.failed("bad", "type\(number)", in: p0) }
        #expect(tally.counts[p0]?.counts.count == FailureCounts.kindLimit)
        #expect(tally.counts[p0]?[.run]?.failures == 500)
    }
}
