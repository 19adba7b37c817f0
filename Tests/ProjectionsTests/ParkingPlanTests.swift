import Letters
import StreamCore
import Testing

@testable import Projections

/// Plans a slice that is described in words. `a1` is event 1 of key a, and `a1!` fails. `~a1` is a retry of it, `~a1!`
/// is a retry that fails again, `-a1` is the request to discard it, and `?a1` is a retry that comes too early. The key
/// `_` means no key. `~a1@3` is delivery 3; without a number it is delivery 2. In `parked`, `a1@3` means that delivery
/// 3 was handled, and `-a1@3` that delivery 3 discarded the event.
private func plan(_ words: String, parked: [String] = [], forgotten: Bool = false) -> String {
    var sequences: [SequenceKey: [RecordOrigin]] = [:]
    var rows: [RecordOrigin: ParkingPlan.Row] = [:]
    for word in parked {
        let parts = word.split(separator: "@")
        let isDiscarded = word.hasPrefix("-")
        let name = String(isDiscarded ? parts[0].dropFirst() : parts[0])
        if let key = key(name), !isDiscarded { sequences[key, default: []].append(origin(name)) }
        rows[origin(name)] = ParkingPlan.Row(
            isInSequence: key(name) != nil && !isDiscarded, isDiscarded: isDiscarded,
            delivery: parts.count > 1 ? Int(parts[1]) ?? 0 : 1)
    }
    let subjects = words.split(separator: " ").map { word in
        var name = String(word)
        var subject = ParkingPlan.Subject()
        if name.hasSuffix("!") {
            subject.hasFailed = true
            name.removeLast()
        }
        let mark = name.first
        if mark == "~" || mark == "-" || mark == "?" { name.removeFirst() }
        let parts = name.split(separator: "@")
        name = String(parts[0])
        subject.sequence = key(name)
        if !subject.hasFailed { subject.eventID = eventID(name) }
        let delivery = ParkingPlan.Delivery(
            origin: origin(name), number: parts.count > 1 ? Int(parts[1]) ?? 0 : 2, isPassed: mark != "?",
            isForgotten: forgotten)
        switch mark {
        case "~", "?": subject.role = .retry(delivery)
        case "-": subject.role = .discard(delivery)
        default: break
        }
        return subject
    }
    return ParkingPlan(subjects, parked: sequences, rows: rows).verdicts.map { "\($0)" }.joined(separator: " ")
}

private func key(_ word: String) -> SequenceKey? {
    word.hasPrefix("_") ? nil : SequenceKey(topic: "t", key: Array(word.prefix(1).utf8))
}

private func eventID(_ word: String) -> EventID {
    EventID(high: UInt64(word.utf8.first ?? 0), low: UInt64(word.dropFirst()) ?? 0)
}

private func origin(_ word: String) -> RecordOrigin {
    RecordOrigin(partition: TopicPartition(topic: "t", partition: 0), offset: Int64(word.dropFirst()) ?? -1)
}

@Suite struct ParkingPlanTests {
    @Test func whatDoesNotFailIsApplied() {
        #expect(plan("a1 b1 a2") == "apply apply apply")
    }

    @Test func laterEventsOfAFailedOnesKeyAreBlocked() {
        #expect(plan("a1 a2! b1 a3 b2 a4!") == "apply parkFailed apply parkBlocked apply parkFailed")
    }

    @Test func eventsWithoutAKeyBlockNobody() {
        #expect(plan("_1! _2 _3!") == "parkFailed apply parkFailed")
    }

    @Test func aKeyIsBlockedByWhatWasParkedBefore() {
        #expect(plan("a3 b1", parked: ["a2"]) == "parkBlocked apply")
    }

    @Test func aSequenceIsRetriedInOrder() {
        #expect(plan("~a2 ~a3 ~a4 a5", parked: ["a2", "a3", "a4"]) == "resolve resolve resolve apply")
    }

    /// The time of one retry must not grow with the number of events that wait behind it. With a comparison of all
    /// pairs, this plan would take minutes.
    @Test func aLongSequenceIsRetriedInOneGo() {
        let origins = (0..<40_000).map { origin("a\($0)") }
        let subjects = origins.map { origin in
            var subject = ParkingPlan.Subject()
            subject.sequence = key("a")
            subject.role = .retry(ParkingPlan.Delivery(origin: origin, number: 2, isPassed: true))
            subject.eventID = eventID("a\(origin.offset)")
            return subject
        }
        let row = ParkingPlan.Row(isInSequence: true, isDiscarded: false, delivery: 1)
        let rows = Dictionary(uniqueKeysWithValues: origins.map { ($0, row) })
        let start = ContinuousClock.now
        let plan = ParkingPlan(subjects, parked: [SequenceKey(topic: "t", key: Array("a".utf8)): origins], rows: rows)
        #expect(ContinuousClock.now - start < .seconds(20))
        #expect(plan.verdicts.allSatisfy { $0 == .resolve })
    }

    @Test func whatIsDiscardedInTheMiddleBlocksNobody() {
        #expect(
            plan("-a3 ~a4 ~a2 ~a4 a5", parked: ["a2", "a3", "a4"]) == "discard blockAgain resolve resolve apply")
        #expect(plan("-a3 ~a2 a5", parked: ["a2", "a3", "a4"]) == "discard resolve parkBlocked")
    }

    @Test func aRetryThatOvertakesIsBlocked() {
        #expect(plan("~a3 ~a2", parked: ["a2", "a3"]) == "blockAgain resolve")
    }

    @Test func whatIsBehindARetryThatFailsIsBlocked() {
        #expect(plan("~a2! ~a3 a4", parked: ["a2", "a3"]) == "failAgain blockAgain parkBlocked")
    }

    @Test func aRetryMayComeTwice() {
        #expect(
            plan("~a2 ~a2 ~a3 ~a3", parked: ["a2", "a3"]) == "resolve appliedBefore resolve appliedBefore")
        #expect(plan("~a2") == "appliedBefore")
        #expect(plan("~a2", parked: ["a3"]) == "appliedBefore")
        #expect(plan("~a2!", parked: ["a3"]) == "appliedBefore")
        #expect(plan("~a2 -a2", parked: ["a2"]) == "resolve discardNothing")
    }

    /// A corrected event has the same origin as the original. Only one of the two is applied.
    @Test func whatComesBackOfAnOriginIsAppliedOnce() {
        #expect(plan("~a2@2 ~a2@3", parked: ["a2"]) == "resolve appliedBefore")
        #expect(plan("~a2@2! ~a2@3 ~a2@2", parked: ["a2"]) == "failAgain resolve appliedBefore")
        #expect(plan("~a2@3! ~a2@2 ~a2@3", parked: ["a2"]) == "failAgain outdated resolve")
        #expect(plan("~a2@2", parked: ["a2@3"]) == "outdated")
        #expect(plan("~a3@3 ~a2@3 ~a3@2 ~a3@3", parked: ["a2", "a3"]) == "blockAgain resolve outdated resolve")
    }

    @Test func discardingFreesTheKey() {
        #expect(plan("-a2 ~a3 a4", parked: ["a2", "a3"]) == "discard resolve apply")
        #expect(plan("-a2 a4", parked: ["a2", "a3"]) == "discard parkBlocked")
    }

    @Test func whatIsDiscardedIsAppliedByALaterDeliveryOnly() {
        #expect(plan("-a2@3 ~a2@2", parked: ["a2"]) == "discard discardedSince(3)")
        #expect(plan("~a2@3 ~a2@2!", parked: ["-a2@3"]) == "discardedSince(3) discardedSince(3)")
        #expect(plan("-a2@3 -a2@2", parked: ["-a2@3"]) == "discard discardedSince(3)")
        // The event is restored after a discard. It lost its place in the order, so it waits for no event, and no event
        // waits for it.
        #expect(plan("~a2@4 a4", parked: ["-a2@3", "a3"]) == "resolve parkBlocked")
        #expect(plan("~a2@4! a4 -a2@3 ~a2@4", parked: ["-a2@3"]) == "failAgain apply outdated resolve")
        // A release that deletes the rows of discarded events discarded this one.
        #expect(plan("~a2@4", parked: ["a3"], forgotten: true) == "resolve")
        #expect(plan("~a2@4!", parked: ["a3"], forgotten: true) == "failAgain")
    }

    @Test func aRetryBeforeItsRecordIsNotAnswered() {
        #expect(plan("?a1 a0") == "tooEarly apply")
    }

    /// The topic was created again and has not reached this offset yet.
    @Test func whatIsParkedWasPassed() {
        #expect(plan("?a1", parked: ["a1"]) == "resolve")
    }

    @Test func aRecordIsToldFromAnotherAtItsPlace() {
        let known = RecordOrigin(partition: p0, offset: 7, timestampMs: 5)
        let other = RecordOrigin(partition: p0, offset: 7, timestampMs: 6)
        #expect(known.isSame(as: known) && !known.isSame(as: other))
        #expect(RecordOrigin(partition: p0, offset: 7).isSame(as: other), "an unknown timestamp matches any")
        #expect(!RecordOrigin(partition: p0, offset: 8).isSame(as: other))
    }

    @Test func whatIsSaidOfAnItemIsALetter() {
        let subjects = (0..<3).map { index in
            ParkingPlan.Subject(sequence: key("a"), hasFailed: index == 1, eventID: nil)
        }
        let plan = ParkingPlan(subjects, parked: [:])
        #expect((0..<3).map(plan.needsLetter) == [false, true, true])
    }
}

@Suite struct PartitionRangesTests {
    private func partitions(_ topic: String, _ numbers: Int32...) -> [TopicPartition] {
        numbers.map { TopicPartition(topic: topic, partition: $0) }
    }

    @Test func neighboursAreOneRange() {
        #expect(PartitionRanges.text(partitions("a", 2, 0, 1, 5) + partitions("b", 7)) == "a[0-2,5] b[7]")
        #expect(PartitionRanges.text([]) == "")
    }

    @Test func rangesHaveOneOffset() {
        var offsets: [TopicPartition: Int64] = [:]
        for partition in partitions("a", 0, 1, 2, 3) { offsets[partition] = 0 }
        offsets[TopicPartition(topic: "a", partition: 2)] = 9
        #expect(PartitionRanges.text(offsets) == "a[0-1]@0 a[2]@9 a[3]@0")
    }
}
