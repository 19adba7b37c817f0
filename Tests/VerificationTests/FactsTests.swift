import Events
import Foundation
import Orders
import StreamCore
import TestKit
import Testing

@testable import Verification

@Suite struct SequenceSetTests {
    @Test func itKnowsWhatItHasSeenBeyondAWordToo() {
        var seen = SequenceSet()
        #expect(seen.greatest == 0)
        for sequence: Int64 in [1, 3, 64, 65, 200] { seen.insert(sequence) }
        #expect(seen.greatest == 200)
        #expect(seen.missing(upTo: 4) == [2, 4])
        #expect([64, 65, 200].allSatisfy(seen.contains))
        #expect(!seen.contains(66) && !seen.contains(0))
    }

    @Test(arguments: [0, 1, 63, 64, 65, 130] as [Int64]) func allUpToALastOneAreThere(last: Int64) {
        let seen = SequenceSet(upTo: last)
        #expect(seen.greatest == last)
        #expect(seen.missing(upTo: last) == [])
        #expect(!seen.contains(last + 1))
    }

    @Test func aUnionHasWhatEitherHas() {
        var left = SequenceSet(upTo: 2)
        var right = SequenceSet()
        right.insert(4)
        right.insert(70)
        left.formUnion(right)
        #expect(left.missing(upTo: 5) == [3, 5])
        #expect(left.greatest == 70)
    }
}

@Suite struct OrderFactsTests {
    @Test func anyOrderAndAnyRepetitionGiveTheSameFacts() throws {
        let events = Events.wholeLife
        let expected = Events.facts(events)
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let shuffled = (events + events.prefix(Int.random(in: 0...events.count))).shuffled(using: &generator)
            let cut = Int.random(in: 0...shuffled.count)
            var left = Events.facts(Array(shuffled[..<cut]))
            left.merge(Events.facts(Array(shuffled[cut...])))
            #expect(left == expected)
        }
        #expect(expected.status == "delivered")
        #expect(expected.paymentStatus == "paid")
        #expect(try SummaryColumns.values(of: expected).count == SummaryColumns.names.count)
    }

    /// The clock steps back between two events of one aggregate. The event with the greater sequence counts.
    @Test func withinAnAggregateTheSequenceDecidesNotTheClock() {
        let facts = Events.facts([
            Events.failed("p1", sequence: 1, at: 900, reason: "first"),
            Events.failed("p1", sequence: 2, at: 100, reason: "second"),
        ])
        #expect(facts.lastPayment(.failed)?.told.value.detail == "second")
    }

    @Test func aLineThatIsRemovedStaysRemoved() throws {
        let events = [
            Events.created(sequence: 1), Events.added("b", sequence: 2, quantity: 2, price: "1.50"),
            Events.removed("a", sequence: 3),
        ]
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let facts = Events.facts(order.map { events[$0] })
            #expect(try facts.total().normalized.description == "3")
        }
    }
}

/// The memory limit that `--orders-in-memory` promises.
@Suite struct MemoryTests {
    /// Runs in a separate process, because other tests would add their memory to the measurement.
    @Test func anOrderTakesAboutTwoKilobytes() async {
        await #expect(processExitsWith: .success) {
            let count = 40_000
            let partition = TopicPartition(topic: "order-events", partition: 0)
            var histories = OrderHistories(
                marker: [partition: .max],
                summary: ProjectionCut(name: "order-summary", nextOffsets: [partition: .max], parkedAt: []),
                dashboard: nil, range: (nil, nil))
            let before = try residentBytes()
            for number in 0..<count {
                for event in Events.wholeLife(of: "ord-1-\(1_000_000 + number)") {
                    histories.add(.success(event), RecordOrigin(partition: partition, offset: 1))
                }
            }
            let perOrder = (try residentBytes() - before) / count
            #expect(histories.orders.count == count)
            #expect(perOrder < 3_000)
        }
    }
}
