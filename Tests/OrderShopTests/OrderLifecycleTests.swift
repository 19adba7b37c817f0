import Events
import Orders
import StreamCore
import Testing

@testable import OrderShop

@Suite struct OrderLifecycleTests {
    static let start = Timestamp("2026-03-01T12:00:00Z").map(\.microseconds) ?? 0

    /// Plays an order to its end, with one second between steps.
    static func history(_ number: Int, seed: UInt64, run: Int64 = 1, interval: Int64 = 1_000_000) -> [[OrderEvent]] {
        var order = OrderLifecycle(number: number, run: run, seed: seed, customers: Customers(count: 100))
        var steps: [[OrderEvent]] = []
        while !order.isOver {
            let now = Timestamp(microseconds: start + Int64(steps.count) * interval)
            steps.append(order.advance(at: now))
        }
        return steps
    }

    @Test func aSeedGivesTheSameHistoriesAndAnotherOneOthers() {
        let first = (0..<200).map { Self.history($0, seed: 7) }
        #expect(first == (0..<200).reversed().map { Self.history($0, seed: 7) }.reversed())
        #expect(first != (0..<200).map { Self.history($0, seed: 8) })
    }

    @Test func theClockChangesNothingButTimes() {
        let slow = Self.history(3, seed: 7).joined().map(\.payload)
        let fast = Self.history(3, seed: 7, interval: 1).joined().map(\.payload)
        #expect(slow == fast)
    }

    @Test func runsOfOneSeedShareHistoriesAndNoIdentities() {
        let first = (0..<100).flatMap { Self.history($0, seed: 7, run: 1).joined() }
        let second = (0..<100).flatMap { Self.history($0, seed: 7, run: 2).joined() }
        // The events differ only in the order's id, which payments and shipments contain.
        func told(_ event: OrderEvent) -> String {
            let payload = String(decoding: EventEncoder.payload(event.payload), as: UTF8.self)
            return "\(event.type) \(payload.replacing("\"\(event.orderID)\"", with: "order"))"
        }
        #expect(first.map(told) == second.map(told))
        #expect(Set(first.map(\.identity.eventID)).isDisjoint(with: second.map(\.identity.eventID)))
        #expect(Set(first.map(\.identity.aggregateID)).isDisjoint(with: second.map(\.identity.aggregateID)))
    }

    @Test func sequencesHaveNoGapsAndTimesGrow() {
        for number in 0..<1_000 {
            // A clock that does not advance, and one that goes back.
            for interval: Int64 in [0, -5_000] {
                let steps = Self.history(number, seed: 11, interval: interval)
                var last: [String: Int64] = [:]
                for event in steps.joined() {
                    #expect(event.identity.sequence == last[event.identity.aggregateID, default: 0] + 1)
                    last[event.identity.aggregateID] = event.identity.sequence
                }
                let events = Array(steps.joined())
                #expect(zip(events, events.dropFirst()).allSatisfy { $0.identity.timestamp < $1.identity.timestamp })
                #expect(
                    zip(events, events.dropFirst()).allSatisfy { $1.causationID == $0.identity.eventID.description })
            }
        }
    }

    @Test func aStepHoldsAtMostOneEventOfAnAggregateAndIsNeverEmpty() {
        for number in 0..<1_000 {
            for step in Self.history(number, seed: 5) {
                #expect(!step.isEmpty)
                #expect(Set(step.map(\.identity.aggregateID)).count == step.count)
            }
        }
    }

    @Test func everyKindOfLifeOccurs() {
        var kinds: [String: Int] = [:]
        var lineCounts: Set<Int> = []
        var severalPayments = 0
        let count = 3_000
        for number in 0..<count {
            let events = Self.history(number, seed: 1).joined()
            for kind in Set(events.map(\.type.rawValue)) { kinds[kind, default: 0] += 1 }
            if Set(events.filter { $0.aggregateType == .payment }.map(\.identity.aggregateID)).count > 1 {
                severalPayments += 1
            }
            if case .orderCreated(let order) = events.first?.payload { lineCounts.insert(order.items.count) }
        }
        #expect(kinds.count == 10)
        #expect(kinds["OrderCreated"] == count)
        // Most orders arrive, and every other course of an order occurs too.
        #expect(kinds["ShipmentDelivered", default: 0] > count * 6 / 10)
        for (kind, occurrences) in kinds { #expect(occurrences > count / 100, "\(kind)") }
        #expect(severalPayments > count / 100)
        #expect(lineCounts == Set(1...8))
    }

    @Test func refundsGiveBackWhatWasPaid() throws {
        for number in 0..<2_000 {
            var balance: [String: Money] = [:]
            var isRefunded = false
            for event in Self.history(number, seed: 2).joined() {
                let payment = event.identity.aggregateID
                switch event.payload {
                case .paymentCompleted(let told):
                    balance[payment] = try balance[payment]?.adding(told.money) ?? told.money
                case .paymentRefunded(let told):
                    balance[payment] = try balance[payment]?.subtracting(told.money)
                    isRefunded = true
                default: break
                }
            }
            if isRefunded { #expect(balance.values.allSatisfy { $0.amount == .zero }) }
        }
    }

    @Test func eventIdsAreVersionSevenOfTheEventsTime() {
        for event in Self.history(0, seed: 3).joined() {
            #expect(event.identity.eventID.high >> 12 & 0xF == 7)
            #expect(event.identity.eventID.low >> 62 == 2)
            #expect(Int64(event.identity.eventID.high >> 16) == event.identity.timestamp.microseconds / 1_000)
        }
    }

    @Test func customersAreSkewedAndAlwaysTheSame() {
        var random = SeededGenerator(seed: 1)
        let activity = ZipfDistribution(count: 1_000, exponent: 1)
        var counts = [Int](repeating: 0, count: 1_000)
        for _ in 0..<50_000 { counts[activity.sample(using: &random)] += 1 }
        // By Zipf's law, the first of 1,000 customers has a share of 1 / 7.49, which is ten times the share of the
        // tenth.
        #expect((6_000...7_400).contains(counts[0]))
        #expect(counts[0] > 7 * counts[9])
        #expect(counts[500...].contains { $0 > 0 })
        #expect(Customers.customer(number: 17).address == Customers.customer(number: 17).address)
    }
}
