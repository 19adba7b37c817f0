import StreamCore
import Testing

@testable import Projections

@Suite struct FailureTallyTests {
    /// A slice in words: partition, event type, and what becomes of it: `+` applied, `=` a duplicate, `!` fails, `?`
    /// fails with another class, `~` blocked, `r` a retry that is applied, `R` one that fails again. `0A!` is an event of
    /// type A in partition 0 that fails; a type of `_` is not known.
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
        #expect(tally("0A! 0B+ 0A! 0B+ 0A!").isOpen(p0), "interleaved successes of another type")
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
        #expect(!tally("0A! 0A~ 0A~ 0A~ 0A~").isOpen(p0), "one key alone says nothing of a release")
        #expect(tally("0A~", after: "0A! 0A! 0A!").counts[p0]?[.run]?.failures == 4, "each counts while it is open")
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
        #expect(cuts("0A! 0A! 0A!") == [:], "nothing is behind it")
        #expect(cuts("0A! 1A! 0A! 1A! 0A! 1A! 0A+ 1A+") == [0: 6, 1: 7])
        #expect(cuts("0A! 0B+ 0A! 0A+ 0A! 0A! 0A+") == [:])
        #expect(cuts("0B+ 0A! 0A!", after: "0A! 0A! 0A!") == [0: 2], "an open one parks one at a time")
        #expect(cuts("0A! 0A! 0A! 0A! 0A!", limit: 0) == [:])
    }

    @Test func kindsOfOnePartitionAreBounded() {
        var tally = FailureTally([:], limit: 1_000)
        for number in 0..<500 { tally.failed("bad", "type\(number)", in: p0) }
        #expect(tally.counts[p0]?.counts.count == FailureCounts.kindLimit)
        #expect(tally.counts[p0]?[.run]?.failures == 500)
    }
}

@Suite struct CircuitBreakerTests {
    @Test func trialsMeetEveryPartOfTheBatchSoonAndAllOfItInTheEnd() {
        let places = (0..<8).map { CircuitBreaker.place(of: $0, among: 8) }
        #expect(Array(places.prefix(4)) == [0, 4, 2, 6])
        #expect(Set(places) == Set(0..<8))
    }

    @Test func delaysGrowToTheirCeiling() {
        var breaker = CircuitBreaker([.run], initial: .seconds(1), ceiling: .seconds(30))
        let delays = (1...8).map { timer in
            let delay = breaker.hold(until: timer)
            var fired = breaker.fired(timer - 1)
            #expect(!fired, "another's timer is none")
            fired = breaker.fired(timer)
            #expect(fired)
            return delay
        }
        #expect(delays[0] >= .milliseconds(500) && delays[0] <= .seconds(1))
        #expect(delays.allSatisfy { $0 <= .seconds(30) })
        #expect(delays[7] >= .seconds(15))
    }
}

@Suite struct BreakerStateTests {
    private let kind = FailureCounts.Kind(errorClass: "bad", eventType: "A")
    private let bad = EventFailure("bad", "bad")

    /// Owns both partitions; the circuit breaker of p0 has opened, with an event of p1 beside it.
    private func opened() throws -> Driver {
        var driver = try Driver.owning([p0: 0, p1: 0]) { $0.parks = true }
        try driver.polled(batch([(p0, 0), (p1, 0)], count: 4))
        // The last event that may be parked is the second of p0, at index 2.
        try driver.database(.written(.tooLong([0: 4])))
        let order = try #require(driver.write)
        #expect(order.slice.cutOffs == [0: 4])
        #expect(order.moves.map(\.next) == [2, 4])
        try driver.polled(batch([(p0, 4), (p1, 4)]))
        try driver.database(.written(.committed([p0: BreakerNews(open: [kind], hasCounted: true)])))
        return driver
    }

    /// Lets the trial's time come, and brings the partition's first records.
    private func bringTrial(_ driver: inout Driver, at offset: Int64 = 2) throws {
        try driver.fireTrial()
        #expect(driver.loading == [p0])
        try driver.database(.offsetsLoaded([p0: offset], open: [p0: [kind]]))
        try driver.polled()
        if driver.intake?.commands != [] { try driver.polled() }
        try driver.polled(batch([(p0, offset)], count: 8))
    }

    @Test func anOpenOneHoldsItsPartitionAndNoOther() throws {
        var driver = try opened()
        #expect(driver.breakerNotes(p0) == [.open([kind])])
        #expect(driver.breakerNotes(p1) == [])
        #expect(driver.write?.moves == [OffsetMove(partition: p1, expected: 4, next: 6)], "what was taken is dropped")
        try driver.database(.written(.committed()))
        while driver.intake?.commands == [] { try driver.polled() }
        #expect(driver.intake?.commands.contains(.pause([p0])) == true)
        #expect(driver.intake?.positions == [p1: 6])
        for round in 0..<20 {
            try driver.polled(batch([(p1, Int64(6 + 2 * round))]))
            try driver.database(.written(.committed()))
        }
        #expect(driver.state.partitions[p1]?.committed == 46)
        #expect(driver.trialDelays.count == 1)
    }

    @Test func aTrialThatFailsHoldsItForLongerAndParksNothing() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        for round in 0..<4 {
            try bringTrial(&driver)
            let trial = try #require(driver.trial)
            #expect(trial.candidates == Array(0..<8) && trial.kinds == [kind] && trial.number == round)
            try driver.database(.tried(.failed(bad)))
            #expect(driver.write == nil)
        }
        #expect(driver.trialDelays.count == 5)
        #expect(driver.state.partitions[p0]?.committed == 2)
        #expect(driver.breakerNotes(p0) == [.open([kind])])
    }

    @Test func aTrialThatSucceedsLetsThePartitionGoOn() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        try bringTrial(&driver)
        try driver.database(.tried(.passed(open: [])))
        #expect(driver.breakerNotes(p0) == [.open([kind]), .closed(.success)])
        #expect(driver.write?.moves == [OffsetMove(partition: p0, expected: 2, next: 10)])
        try driver.database(.written(.committed()))
        try driver.polled(batch([(p0, 10)]))
        #expect(driver.trial == nil && driver.write != nil)
    }

    @Test func anotherKindThatIsOpenIsTriedToo() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        try bringTrial(&driver)
        let other = FailureCounts.Kind(errorClass: "bad", eventType: "B")
        try driver.database(.tried(.passed(open: [other])))
        #expect(driver.trial?.kinds == [other])
        try driver.database(.tried(.failed(bad)))
        #expect(driver.write == nil && driver.trialDelays.count == 2)
    }

    /// A run of records that cannot be decoded, of any length: each trial passes one.
    @Test func withNothingToTryOneIsParkedATrial() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        for round in 0..<10 {
            try bringTrial(&driver, at: Int64(2 + round))
            try driver.database(.tried(.nothingToTry))
            #expect(driver.write != nil)
            try driver.database(.written(.tooLong([0: 1])))
            let start = Int64(2 + round)
            #expect(driver.write?.moves == [OffsetMove(partition: p0, expected: start, next: start + 1)])
            try driver.database(.written(.committed([p0: BreakerNews(open: [kind], hasCounted: true)])))
            #expect(driver.trialDelays.count == round + 2)
        }
        #expect(driver.state.partitions[p0]?.committed == 12)
    }

    @Test func eventsOfOtherTypesPassWhileItIsOpen() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        try bringTrial(&driver)
        try driver.database(.tried(.nothingToTry))
        try driver.database(.written(.committed()))
        #expect(driver.trialDelays.count == 1, "nothing was parked, so it goes on")
        try driver.polled(batch([(p0, 10)]))
        #expect(driver.trial != nil, "and each batch is tried")
    }

    @Test func anOperatorsReleaseIsSeenAtTheNextTrial() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        try driver.fireTrial()
        try driver.database(.offsetsLoaded([p0: 2]))
        #expect(driver.breakerNotes(p0) == [.open([kind]), .closed(.database)])
        try driver.polled()
        if driver.intake?.commands != [] { try driver.polled() }
        try driver.polled(batch([(p0, 2)]))
        #expect(driver.trial == nil)
        #expect(driver.write?.moves == [OffsetMove(partition: p0, expected: 2, next: 4)])
    }

    @Test func oneThatIsOpenAtTheStartStaysSo() throws {
        var driver = Driver { $0.parks = true }
        try driver.polled(.assigned([p0]))
        try driver.database(.offsetsLoaded([p0: 0], open: [p0: [kind]]))
        try driver.polled()
        try driver.polled()
        try driver.polled(batch([(p0, 0)]))
        #expect(driver.write == nil && driver.trial != nil)
        #expect(driver.breakerNotes(p0) == [.open([kind])])
    }

    @Test func aStopDoesNotWaitForIt() throws {
        var driver = try opened()
        driver.send(.stopRequested)
        try driver.database(.written(.committed()))
        if driver.intake != nil { try driver.polled() }
        #expect(driver.finished?[p0] == 2 && driver.finished?[p1] == 6)
    }

    @Test func aRevokedPartitionTakesItsCircuitBreakerAlong() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        while driver.intake?.commands != [] { try driver.polled() }
        try driver.polled(.revoked([p0]))
        try driver.fireTrial()
        #expect(driver.loading == nil && driver.state.breakers.isEmpty)
        try driver.polled()
        try driver.polled(.assigned([p0]))
        #expect(driver.loading == [p0], "who has it next reads the counts")
    }

    /// Else the client would fetch nothing of it when it comes back.
    @Test func aPartitionThatIsGivenUpIsNotPausedAfterwards() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        // The poll under way began before the pause.
        try driver.polled(.revoked([p0]))
        let commands = try #require(driver.intake?.commands)
        #expect(commands.contains(.giveUp([p0])) && !commands.contains(.pause([p0])))
    }

    @Test func aDatabaseThatFailsInATrialBringsTheTrialAgain() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        try bringTrial(&driver)
        let order = try #require(driver.trial)
        try driver.database(.databaseFailed(transient))
        try driver.backOff()
        #expect(driver.trial?.batch == order.batch && driver.trial?.number == 1)
    }

    @Test func anUnknownCommitThatOpenedItHoldsThePartition() throws {
        var driver = try Driver.owning([p0: 0]) { $0.parks = true }
        try driver.polled(batch([(p0, 0)], count: 4))
        try driver.database(.written(.unknown(transient)))
        try driver.backOff()
        try driver.database(.settled(.committed, open: [p0: [kind]]))
        #expect(driver.breakerNotes(p0) == [.open([kind])] && driver.trialDelays.count == 1)
    }

    /// What a cut leaves out is taken again, also when nothing holds the partition after all.
    @Test func aPartThatWasCutAndGoesOnIsReadAgain() throws {
        var driver = try Driver.owning([p0: 0]) { $0.parks = true }
        try driver.polled(batch([(p0, 0)], count: 4))
        try driver.database(.written(.tooLong([0: 2])))
        try driver.database(.written(.committed([p0: BreakerNews(open: [], hasCounted: true)])))
        #expect(driver.loading == [p0])
        #expect(driver.state.partitions[p0]?.committed == 2)
    }
}

/// Kafka takes no letters.
@Suite struct LetterOutageStateTests {
    private let refusal = LetterError.late(topic: "dlq", milliseconds: 1)

    /// p0 needs a letter for its second event, at index 2.
    private func withoutLetters() throws -> Driver {
        var driver = try Driver.owning([p0: 0, p1: 0]) { $0.parks = true }
        try driver.polled(batch([(p0, 0), (p1, 0)], count: 4))
        try driver.polled(batch([(p0, 4), (p1, 4)]))
        try driver.database(.written(.lettersMissing([0: 2], refusal)))
        return driver
    }

    @Test func whatNeedsNoLetterGoesOn() throws {
        var driver = try withoutLetters()
        #expect(driver.lettersNotes == ["-0"])
        #expect(!driver.isBackingOff, "the database works")
        let order = try #require(driver.write)
        #expect(order.moves.map(\.next) == [1, 4] && !order.mayWriteLetters)
        try driver.database(.written(.committed()))
        #expect(driver.write?.moves == [OffsetMove(partition: p1, expected: 4, next: 6)])
        try driver.database(.written(.committed()))
        while driver.intake?.commands == [] { try driver.polled() }
        #expect(driver.intake?.commands.contains(.pause([p0])) == true)
        #expect(driver.intake?.positions == [p1: 6])
    }

    @Test func theLetterIsTriedUntilKafkaTakesIt() throws {
        var driver = try withoutLetters()
        try driver.database(.written(.committed()))
        try driver.database(.written(.committed()))
        for round in 1...3 {
            try driver.fire { $0 == .letters }
            #expect(driver.letterTries == round && driver.database == nil)
            driver.send(.letterTried(round < 3 ? refusal : nil))
        }
        #expect(driver.loading == [p0])
        try driver.database(.offsetsLoaded([p0: 1]))
        while driver.intake?.positions[p0] == nil { try driver.polled() }
        try driver.polled()
        try driver.polled(batch([(p0, 1)]))
        #expect(driver.write?.mayWriteLetters == true)
        #expect(driver.lettersNotes == ["-0"])
        try driver.database(.written(.committed()))
        #expect(driver.lettersNotes == ["-0", "+0"])
    }

    @Test func anotherPartitionThatNeedsOneWaitsWithoutATry() throws {
        var driver = try withoutLetters()
        try driver.database(.written(.committed()))
        try driver.database(.written(.lettersMissing([1: 1], nil)))
        #expect(driver.lettersNotes == ["-0", "-1"])
        #expect(driver.sleeping.filter { $0 == .letters }.count == 1, "one try for all")
    }

    @Test func aCircuitBreakersTrialWaitsForLetters() throws {
        var driver = try withoutLetters()
        let kind = FailureCounts.Kind(errorClass: "bad", eventType: "A")
        try driver.database(.written(.committed([p1: BreakerNews(open: [kind], hasCounted: true)])))
        try driver.fireTrial(p1)
        #expect(driver.loading == nil)
        try driver.fire { $0 == .letters }
        driver.send(.letterTried(nil))
        #expect(driver.loading == [p0, p1])
    }

    @Test func aRevokedPartitionWaitsNoLonger() throws {
        var driver = try withoutLetters()
        try driver.database(.written(.committed()))
        try driver.database(.written(.committed()))
        while driver.intake?.commands != [] { try driver.polled() }
        try driver.polled(.revoked([p0]))
        try driver.fire { $0 == .letters }
        driver.send(.letterTried(nil))
        #expect(driver.loading == nil)
    }
}

@Suite struct ParkingStateTests {
    private let failure = ItemFailure(stage: .apply, failure: EventFailure("bad", "bad"))

    private func driver() throws -> Driver {
        try Driver.owning([p0: 0, p1: 0]) { $0.parks = true }
    }

    @Test func anEventThatFailsIsMarkedAndItsPartitionGoesOn() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0), (p1, 0)], count: 4))
        // The third event of p0, at index 4 of the batch.
        var parked: [Int] = []
        while let order = driver.write {
            let isBad = order.slice.items.contains(4) && order.slice.failures[4] == nil
            if !isBad { parked += order.slice.failures.keys }
            try driver.database(.written(isBad ? .permanent(failure, item: nil) : .committed()))
        }
        #expect(parked == [4])
        #expect(driver.stopped == [])
        #expect(driver.state.partitions[p0]?.committed == 4)
        #expect(driver.state.partitions[p1]?.committed == 4)
    }

    @Test func anEventThatIsNamedIsMarkedWithoutSplitting() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0)], count: 100))
        try driver.database(.written(.permanent(failure, item: 57)))
        #expect(driver.write?.slice.items == 0..<100)
        #expect(driver.write?.slice.failures == [57: failure])
    }

    @Test func whatIsParkedIsCountedNowAndThen() throws {
        var driver = try driver()
        try driver.tick()
        #expect(driver.isCounting)
        try driver.database(.counted)
        try driver.tick()
        #expect(!driver.isCounting)
        try driver.tick(after: .seconds(60))
        #expect(driver.isCounting)
    }

    @Test func theRetryTopicGoesOnAfterTruncation() throws {
        var driver = try Driver.owning([p0: 5]) {
            $0.parks = true
            $0.retryTopic = "t"
        }
        try driver.polled(.outOfRange([p0]))
        driver.examined(p0, low: 9, high: 20)
        try driver.database(.offsetsLoaded([p0: 5]))
        #expect(driver.stopped == [])
        #expect(driver.rewinding == [OffsetMove(partition: p0, expected: 5, next: 9)])
    }

    @Test func failuresThatWereFoundTogetherAreParkedTogether() throws {
        var driver = try driver()
        var transactions = 0
        for round in 0..<3 {
            try driver.polled(batch([(p0, Int64(round * 2_000))], count: 2_000))
            while let order = driver.write {
                let bad = order.slice.items.filter { $0 % 100 == 37 && order.slice.failures[$0] == nil }
                transactions += 1
                let found = Dictionary(uniqueKeysWithValues: bad.map { ($0, failure) })
                try driver.database(.written(bad.isEmpty ? .committed() : .failing(found)))
                #expect(bad.isEmpty || driver.write?.slice.failures.count == 20)
            }
        }
        #expect(driver.state.partitions[p0]?.committed == 6_000)
        #expect(transactions == 6)
    }
}
