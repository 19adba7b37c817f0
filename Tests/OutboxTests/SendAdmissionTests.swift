import Testing

@testable import Outbox

@Suite struct SendAdmissionTests {
    private var admission = SendAdmission()
    private var page: UInt64 = 0
    private let start = ContinuousClock.now

    /// The decision about one row in its own page. The topic has two partitions, and the key is the number of its
    /// partition.
    private mutating func way(
        _ topic: String, _ key: String = "0", scan: ScanCursor.Scan = .forward, after elapsed: Duration = .zero,
        partitions: Int? = 2
    ) -> SendAdmission.Way {
        page += 1
        admission.begin(page: page, now: start + elapsed)
        let bytes = Array(key.utf8)
        return admission.way(
            topic: topic, key: bytes.span, hash: UInt32(key) ?? 0, scan: scan, partitions: { _ in partitions })
    }

    private mutating func leave(_ id: Int64, at stop: SendAdmission.Stop, _ key: String = "0", isAhead: Bool = false) {
        let bytes = Array(key.utf8)
        admission.leave(id, at: stop, topic: "t", key: bytes.span, isAhead: isAhead)
    }

    private mutating func open(_ partition: Int? = nil, at place: Int = 0, of count: Int? = 2) {
        let probe = SendAdmission.Probe(topic: "t", partition: partition)
        admission.prove(probe)
        admission.open(probe, partition: place, of: count)
    }

    private func topicKey(_ key: String) -> TopicKey { TopicKey(topic: "t", key: Array(key.utf8)) }

    @Test mutating func firstRecordOfATopicGoesAlone() {
        #expect(way("t", partitions: nil) == .first(.init(topic: "t", partition: nil)))
        admission.prove(.init(topic: "t", partition: nil), now: start)
        #expect(admission.isProving)
        #expect(way("t") == .wait(.topic, since: start))
        #expect(way("u", partitions: nil) == .first(.init(topic: "u", partition: nil)), "other topics continue")
    }

    @Test mutating func firstRecordOfEachPartitionGoesAlone() {
        open(at: 1)
        #expect(way("t", "1") == .open, "the topic's first record went to this partition")
        #expect(way("t", "0") == .first(.init(topic: "t", partition: 0)))
        admission.prove(.init(topic: "t", partition: 0), now: start)
        #expect(way("t", "0") == .wait(.partition(0), since: start))
        admission.open(.init(topic: "t", partition: 0), partition: 0, of: 2)
        #expect(way("t", "0") == .open)
        #expect(!admission.isProving)
    }

    @Test mutating func recordThatWentElsewhereProvesNothingOfItsPartition() {
        open(at: 1)
        admission.prove(.init(topic: "t", partition: 0))
        admission.open(.init(topic: "t", partition: 0), partition: 1, of: 2)
        #expect(way("t", "0") == .first(.init(topic: "t", partition: 0)))
    }

    @Test mutating func proofsEndWithDisuseNewProducersAndMorePartitions() {
        open()
        open(0)
        #expect(way("t", "0", after: .seconds(599)) == .open)
        #expect(way("t", "0", after: .seconds(1_198)) == .open, "the proof was used in the meantime")
        #expect(way("t", "0", after: .seconds(1_799)) == .first(.init(topic: "t", partition: 0)))
        #expect(way("t", "0", partitions: 3) == .first(.init(topic: "t", partition: 0)))
        admission.forgetProofs()
        #expect(way("t", "0", partitions: 3) == .first(.init(topic: "t", partition: nil)))
    }

    @Test mutating func refusingTopicIsHeldLongerEachTime() {
        admission.prove(.init(topic: "t", partition: nil))
        #expect(admission.hold("t", row: 5, now: start) == .seconds(1))
        #expect(admission.heldCount == 1)
        #expect(way("t") == .leave(.topic))
        admission.release(now: start)
        #expect(way("t") == .leave(.topic))
        admission.release(now: start + .seconds(1))
        #expect(way("t") == .leave(.topic), "older rows wait")
        #expect(admission.serve() == 5)
        #expect(way("t", scan: .backlog, partitions: nil) == .first(.init(topic: "t", partition: nil)))
        #expect(admission.hold("t", row: 5, now: start) == .seconds(2))
        for _ in 0..<10 { _ = admission.hold("t", row: 5, now: start) }
        #expect(admission.hold("t", row: 5, now: start) == SendAdmission.longestHold)
        admission.release(now: start + .seconds(60))
        open()
        #expect(admission.hold("t", row: 5, now: start) == .seconds(1))
    }

    @Test mutating func nobodyOvertakesRowsThatWereLeft() {
        admission.prove(.init(topic: "t", partition: nil))
        leave(7, at: .topic)
        leave(3, at: .topic)
        #expect(admission.serve() == nil, "the topic is not open")
        admission.open(.init(topic: "t", partition: nil), partition: 0, of: 2)
        #expect(admission.serve() == 3)
        #expect(admission.serve() == nil, "the scan is already running")
        #expect(admission.isServing)
        #expect(way("t") == .leave(.topic))
        #expect(way("t", scan: .sweep) == .leave(.topic))
        #expect(way("t", scan: .backlog) == .open)
        leave(9, at: .topic, isAhead: true)
        #expect(admission.serve() == nil)
        leave(2, at: .topic)
        #expect(admission.serve() == 2, "the scan must go back to this row")
        admission.caughtUp()
        #expect(way("t") == .open)
        #expect(!admission.isServing)
    }

    @Test mutating func whatTheBacklogLeavesIsNotForgotten() {
        open()
        open(0)
        leave(4, at: .partition(0))
        #expect(admission.serve() == 4)
        leave(4, at: .partition(0))
        admission.caughtUp()
        #expect(way("t", "0") == .leave(.partition(0)))
        #expect(admission.serve() == 4)
        admission.caughtUp()
        #expect(way("t", "0") == .open)
    }

    @Test mutating func rowsLeftInAPartitionWaitForIt() {
        open(at: 1)
        admission.prove(.init(topic: "t", partition: 0))
        leave(4, at: .partition(0))
        #expect(admission.serve() == nil)
        #expect(way("t", "1") == .open)
        admission.forgetProofs()
        #expect(way("t", "0") == .leave(.partition(0)), "nor may a first record of a new producer overtake them")
        #expect(admission.serve() == 4)
        #expect(way("t", "0", scan: .backlog) == .first(.init(topic: "t", partition: nil)))
    }

    @Test mutating func rowsLeftInPartitionsBelongToTheTopicWhenItHasMore() {
        open(at: 1)
        admission.prove(.init(topic: "t", partition: 0))
        leave(4, at: .partition(0))
        #expect(way("t", "1", partitions: 3) == .leave(.topic))
        #expect(admission.serve() == 4)
    }

    @Test mutating func onlyTheKeyItselfIsBlocked() {
        open()
        open(1, at: 1)
        open(0)
        admission.block(topicKey("0"), id: 5)
        #expect(admission.isBlocked(topicKey("0")))
        #expect(way("t", "0") == .leave(.key))
        #expect(way("t", "1") == .open)
        #expect(way("t", "2") == .open, "another key in the same partition")
        #expect(admission.blockedCount == 1)
    }

    @Test mutating func freedKeyIsServedFromTheRowThatWasSetAside() {
        open()
        open(0)
        admission.block(topicKey("0"), id: 5)
        leave(8, at: .key)
        #expect(!outcome(admission.replaceBlocked(with: [topicKey("0"): 5])))
        #expect(admission.serve() == nil)
        #expect(outcome(admission.replaceBlocked(with: [:])))
        #expect(!outcome(admission.replaceBlocked(with: [:])))
        #expect(way("t", "0") == .leave(.key))
        #expect(admission.serve() == 5)
        #expect(way("t", "0", scan: .backlog) == .open)
        admission.caughtUp()
        #expect(way("t", "0") == .open)
        #expect(!admission.hasBlockedKeys)
    }

    @Test mutating func restartedBacklogIsServedAgain() {
        admission.block(topicKey("0"), id: 5)
        _ = admission.replaceBlocked(with: [:])
        #expect(admission.serve() == 5)
        admission.restartBacklog()
        #expect(!admission.isServing)
        #expect(admission.serve() == 5)
    }
}
