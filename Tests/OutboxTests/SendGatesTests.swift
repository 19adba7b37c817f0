import Testing

@testable import Outbox

@Suite struct SendGatesTests {
    private var gates = SendGates()
    private var page: UInt64 = 0
    private let start = ContinuousClock.now

    /// What a row of a page of its own may do; the topic has two partitions, and the key is its partition.
    private mutating func way(
        _ topic: String, _ key: String = "0", scan: ScanCursor.Scan = .forward, after elapsed: Duration = .zero,
        partitions: Int? = 2
    ) -> SendGates.Way {
        page += 1
        gates.begin(page: page, now: start + elapsed)
        let bytes = Array(key.utf8)
        return gates.way(
            topic: topic, key: bytes.span, hash: UInt32(key) ?? 0, scan: scan, partitions: { _ in partitions })
    }

    private mutating func leave(_ id: Int64, at stop: SendGates.Stop, _ key: String = "0", isAhead: Bool = false) {
        let bytes = Array(key.utf8)
        gates.leave(id, at: stop, topic: "t", key: bytes.span, isAhead: isAhead)
    }

    private mutating func open(_ partition: Int? = nil, at place: Int = 0, of count: Int? = 2) {
        let probe = SendGates.Probe(topic: "t", partition: partition)
        gates.prove(probe)
        gates.open(probe, partition: place, of: count)
    }

    private func lane(_ key: String) -> Lane { Lane(topic: "t", key: Array(key.utf8)) }

    @Test mutating func firstRecordOfATopicGoesAlone() {
        #expect(way("t", partitions: nil) == .first(.init(topic: "t", partition: nil)))
        gates.prove(.init(topic: "t", partition: nil), now: start)
        #expect(gates.isProving)
        #expect(way("t") == .wait(.topic, since: start))
        #expect(way("u", partitions: nil) == .first(.init(topic: "u", partition: nil)), "others go on")
    }

    @Test mutating func firstRecordOfEachPartitionGoesAlone() {
        open(at: 1)
        #expect(way("t", "1") == .open, "the topic's first record went there")
        #expect(way("t", "0") == .first(.init(topic: "t", partition: 0)))
        gates.prove(.init(topic: "t", partition: 0), now: start)
        #expect(way("t", "0") == .wait(.partition(0), since: start))
        gates.open(.init(topic: "t", partition: 0), partition: 0, of: 2)
        #expect(way("t", "0") == .open)
        #expect(!gates.isProving)
    }

    @Test mutating func recordThatWentElsewhereProvesNothingOfItsPartition() {
        open(at: 1)
        gates.prove(.init(topic: "t", partition: 0))
        gates.open(.init(topic: "t", partition: 0), partition: 1, of: 2)
        #expect(way("t", "0") == .first(.init(topic: "t", partition: 0)))
    }

    @Test mutating func proofsEndWithDisuseNewProducersAndMorePartitions() {
        open()
        open(0)
        #expect(way("t", "0", after: .seconds(599)) == .open)
        #expect(way("t", "0", after: .seconds(1_198)) == .open, "it was used meanwhile")
        #expect(way("t", "0", after: .seconds(1_799)) == .first(.init(topic: "t", partition: 0)))
        #expect(way("t", "0", partitions: 3) == .first(.init(topic: "t", partition: 0)))
        gates.forgetProofs()
        #expect(way("t", "0", partitions: 3) == .first(.init(topic: "t", partition: nil)))
    }

    @Test mutating func refusingTopicIsHeldLongerEachTime() {
        gates.prove(.init(topic: "t", partition: nil))
        #expect(gates.hold("t", row: 5, now: start) == .seconds(1))
        #expect(gates.heldCount == 1)
        #expect(way("t") == .leave(.topic))
        gates.release(now: start)
        #expect(way("t") == .leave(.topic))
        gates.release(now: start + .seconds(1))
        #expect(way("t") == .leave(.topic), "older rows wait")
        #expect(gates.serve() == 5)
        #expect(way("t", scan: .backlog, partitions: nil) == .first(.init(topic: "t", partition: nil)))
        #expect(gates.hold("t", row: 5, now: start) == .seconds(2))
        for _ in 0..<10 { _ = gates.hold("t", row: 5, now: start) }
        #expect(gates.hold("t", row: 5, now: start) == SendGates.longestHold)
        gates.release(now: start + .seconds(60))
        open()
        #expect(gates.hold("t", row: 5, now: start) == .seconds(1))
    }

    @Test mutating func nobodyOvertakesRowsThatWereLeft() {
        gates.prove(.init(topic: "t", partition: nil))
        leave(7, at: .topic)
        leave(3, at: .topic)
        #expect(gates.serve() == nil, "the topic is not open")
        gates.open(.init(topic: "t", partition: nil), partition: 0, of: 2)
        #expect(gates.serve() == 3)
        #expect(gates.serve() == nil, "the scan is on its way")
        #expect(gates.isServing)
        #expect(way("t") == .leave(.topic))
        #expect(way("t", scan: .sweep) == .leave(.topic))
        #expect(way("t", scan: .backlog) == .open)
        leave(9, at: .topic, isAhead: true)
        #expect(gates.serve() == nil)
        leave(2, at: .topic)
        #expect(gates.serve() == 2, "the scan has to go back")
        gates.caughtUp()
        #expect(way("t") == .open)
        #expect(!gates.isServing)
    }

    @Test mutating func whatTheBacklogLeavesIsNotForgotten() {
        open()
        open(0)
        leave(4, at: .partition(0))
        #expect(gates.serve() == 4)
        leave(4, at: .partition(0))
        gates.caughtUp()
        #expect(way("t", "0") == .leave(.partition(0)))
        #expect(gates.serve() == 4)
        gates.caughtUp()
        #expect(way("t", "0") == .open)
    }

    @Test mutating func rowsLeftInAPartitionWaitForIt() {
        open(at: 1)
        gates.prove(.init(topic: "t", partition: 0))
        leave(4, at: .partition(0))
        #expect(gates.serve() == nil)
        #expect(way("t", "1") == .open)
        gates.forgetProofs()
        #expect(way("t", "0") == .leave(.partition(0)), "nor does a new producer's first record overtake them")
        #expect(gates.serve() == 4)
        #expect(way("t", "0", scan: .backlog) == .first(.init(topic: "t", partition: nil)))
    }

    @Test mutating func rowsLeftInPartitionsBelongToTheTopicWhenItHasMore() {
        open(at: 1)
        gates.prove(.init(topic: "t", partition: 0))
        leave(4, at: .partition(0))
        #expect(way("t", "1", partitions: 3) == .leave(.topic))
        #expect(gates.serve() == 4)
    }

    @Test mutating func onlyTheLaneItselfIsBlocked() {
        open()
        open(1, at: 1)
        open(0)
        gates.block(lane("0"), id: 5)
        #expect(gates.isBlocked(lane("0")))
        #expect(way("t", "0") == .leave(.lane))
        #expect(way("t", "1") == .open)
        #expect(way("t", "2") == .open, "the same partition, another key")
        #expect(gates.blockedCount == 1)
    }

    @Test mutating func freedLaneIsServedFromTheRowThatWasSetAside() {
        open()
        open(0)
        gates.block(lane("0"), id: 5)
        leave(8, at: .lane)
        #expect(!outcome(gates.replaceBlocked(with: [lane("0"): 5])))
        #expect(gates.serve() == nil)
        #expect(outcome(gates.replaceBlocked(with: [:])))
        #expect(!outcome(gates.replaceBlocked(with: [:])))
        #expect(way("t", "0") == .leave(.lane))
        #expect(gates.serve() == 5)
        #expect(way("t", "0", scan: .backlog) == .open)
        gates.caughtUp()
        #expect(way("t", "0") == .open)
        #expect(!gates.hasBlockedLanes)
    }

    @Test mutating func restartedBacklogIsServedAgain() {
        gates.block(lane("0"), id: 5)
        _ = gates.replaceBlocked(with: [:])
        #expect(gates.serve() == 5)
        gates.restartBacklog()
        #expect(!gates.isServing)
        #expect(gates.serve() == 5)
    }
}
