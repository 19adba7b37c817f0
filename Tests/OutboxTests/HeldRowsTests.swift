import Testing

@testable import Outbox

@Suite struct HeldRowsTests {
    private func lane(_ key: String) -> Lane { Lane(topic: "order-events", key: Array(key.utf8)) }

    @Test func onlyTheLaneItselfIsBlocked() {
        var blocked = BlockedLanes()
        #expect(blocked.isEmpty)
        blocked.block(lane("a"))
        func isBlocked(_ topic: String, _ key: [UInt8]) -> Bool { blocked.contains(topic: topic, key: key.span) }
        #expect(isBlocked("order-events", Array("a".utf8)))
        #expect(!isBlocked("order-events", Array("b".utf8)))
        #expect(!isBlocked("payment-events", Array("a".utf8)))
    }

    @Test func releaseIsReportedOnce() {
        let now = ContinuousClock.now
        var blocked = BlockedLanes()
        blocked.block(lane("a"))
        blocked.block(lane("b"))
        #expect(!outcome(blocked.replace(with: [lane("a"), lane("b"), lane("c")], now: now)))
        #expect(outcome(blocked.replace(with: [lane("b"), lane("c")], now: now)))
        #expect(!outcome(blocked.replace(with: [lane("b"), lane("c")], now: now)))
    }

    @Test func laneWhoseRowCannotBeSetAsideWaitsWhateverTheDatabaseSays() {
        let now = ContinuousClock.now
        var blocked = BlockedLanes()
        blocked.block(lane("a"), until: now + .seconds(30))
        #expect(!outcome(blocked.replace(with: [], now: now)))
        #expect(blocked.lanes == [lane("a")])
        #expect(outcome(blocked.replace(with: [], now: now + .seconds(30))), "the row is to be tried again")
        #expect(blocked.isEmpty)
    }

    @Test func topicOpensWithItsFirstAcknowledgement() {
        var gates = TopicGates()
        #expect(gates.gate(of: "t") == .untried)
        gates.prove("t")
        #expect(gates.gate(of: "t") == .proving)
        #expect(!outcome(gates.open("t")), "nothing was passed over")
        #expect(gates.gate(of: "t") == .open)
        gates.prove("u")
        gates.leave()
        #expect(outcome(gates.open("u")))
    }

    @Test func refusingTopicIsHeldLongerEachTime() {
        let now = ContinuousClock.now
        var gates = TopicGates()
        gates.prove("t")
        #expect(gates.hold("t", now: now) == .seconds(1))
        #expect(gates.heldCount == 1)
        #expect(!outcome(gates.release(now: now)))
        #expect(outcome(gates.release(now: now + .seconds(1))))
        #expect(gates.gate(of: "t") == .untried)
        #expect(gates.hold("t", now: now) == .seconds(2))
        for _ in 0..<10 { _ = gates.hold("t", now: now) }
        #expect(gates.hold("t", now: now) == TopicGates.longestHold)
        _ = gates.open("t")
        #expect(gates.hold("t", now: now) == .seconds(1))
    }

    @Test func newProducerProvesTopicsAgainAndKeepsHolds() {
        let now = ContinuousClock.now
        var gates = TopicGates()
        _ = gates.open("open")
        gates.prove("proving")
        _ = gates.hold("held", now: now)
        gates.forgetProofs()
        #expect(gates.gate(of: "open") == .untried)
        #expect(gates.gate(of: "proving") == .untried)
        #expect(gates.gate(of: "held") == .held(until: now + .seconds(1)))
    }
}
