import Events
import OrderSummary
import Orders
import StreamCore
import Testing

/// The fold of events into rows. Its result must not depend on their order.
struct FoldTests {
    @Test func tellsAWholeLife() throws {
        let row = try #require(OrderSummaryFold(Lifecycle.full()).rows.first)
        #expect(row.version == 8)
        #expect(row.updatedAt == Timestamp(microseconds: 1_790_000_013_000_000))
        #expect(row.confirmedAt == Timestamp(microseconds: 1_790_000_006_000_000))
        #expect(row.created?.fact.customerID == "customer-1")
        #expect(row.items?.lines.map(\.productID) == ["a", "c"])
        #expect(row.items?.removals.map(\.productID) == ["b"])
        #expect(row.items?.count == 6)
        #expect(try row.items?.total() == "19.5")
        #expect(row.failed?.fact.detail == "declined")
        #expect(row.refunded?.fact.detail == "paid twice")
        #expect(row.shipped?.fact.carrier == "UPS")
        #expect(row.delivered?.fact.shipmentID == "order-1-ship-1")
        #expect(row.cancelled?.fact.reason == "too late")
        #expect(row.status == .cancelled)
        #expect(row.paymentStatus == .partiallyRefunded)
        #expect(row.shipmentStatus == .partiallyDelivered)
    }

    /// An authorization neither creates nor changes a row, because only the payment itself depends on it.
    @Test func anAuthorizationIsSkipped() throws {
        var life = Lifecycle(seed: 1)
        life.tell(life.authorized("5"), of: "pay-1", at: 5)
        #expect(OrderSummaryFold(life.events).rows.isEmpty)
        life.tell(life.created([Lifecycle.line("a", 1, "1")]), at: 6)
        let withoutIt = OrderSummaryFold(Array(life.events.dropFirst())).rows
        #expect(OrderSummaryFold(life.events).rows == withoutIt && withoutIt.count == 1)
    }

    /// Time decides between the events of two payments. The sequence decides between the events of one payment.
    @Test func aLaterSequenceHoldsWhateverTheClockSays() throws {
        var life = Lifecycle(seed: 1)
        let (high, low) = (EventID(high: .max, low: .max), EventID(high: 0, low: 0))
        life.tell(life.failed("first"), of: "pay-1", at: 5, eventID: high)
        life.tell(life.failed("second"), of: "pay-1", at: 5, eventID: low)
        life.tell(life.failed("third"), of: "pay-1", at: 4, eventID: high)
        for events in [life.events, life.events.reversed()] {
            #expect(OrderSummaryFold(events).rows[0].failed?.fact.detail == "third")
        }
        #expect(OrderSummaryFold(Array(life.events.prefix(2))).rows[0].failed?.fact.detail == "second")
        life.tell(life.failed("of another"), of: "pay-2", at: 4, eventID: low)
        let row = OrderSummaryFold(life.events).rows[0]
        #expect(row.failed?.fact.detail == "third")
        #expect(row.updatedAt == Timestamp(microseconds: 1_790_000_004_000_000))
        #expect(row.lastMoment?.eventID == high)
    }

    @Test func theOrdersOwnFactsFollowItsSequenceToo() throws {
        var life = Lifecycle(seed: 1)
        life.tell(life.created([Lifecycle.line("a", 1, "1")]), at: 9)
        life.tell(.itemAdded(Lifecycle.line("a", 2, "1")), at: 8)
        life.tell(.orderConfirmed, at: 7)
        life.tell(.orderConfirmed, at: 6)
        life.tell(.orderCancelled(OrderCancelled(reason: "one", cancelledBy: "c")), at: 5)
        life.tell(.orderCancelled(OrderCancelled(reason: "two", cancelledBy: "c")), at: 4)
        for _ in 0..<20 {
            let row = OrderSummaryFold(life.events.shuffled()).rows[0]
            #expect(row.items?.lines.map(\.line?.quantity) == [2])
            #expect(row.confirmedAt == Timestamp(microseconds: 1_790_000_006_000_000))
            #expect(row.cancelled?.fact.reason == "two")
            #expect(row.updatedAt == Timestamp(microseconds: 1_790_000_004_000_000))
            #expect(row.lastMoment?.eventID == life.events[5].identity.eventID)
        }
    }

    /// Among events without a sequence, the time decides. An event with a sequence counts as later than events without
    /// one. Events of both kinds, with clocks that contradict their sequences, give the same row in every order.
    @Test func eventsWithoutSequenceHaveOneOutcome() throws {
        var life = Lifecycle(seed: 3)
        life.tell(.itemAdded(Lifecycle.line("a", 1, "1")), at: 5)
        life.tell(.itemAdded(Lifecycle.line("a", 2, "1")), at: 4, isNumbered: false)
        life.tell(.itemAdded(Lifecycle.line("a", 3, "1")), at: 3)
        life.tell(.itemAdded(Lifecycle.line("b", 4, "1")), at: 7, isNumbered: false)
        life.tell(.itemRemoved(productID: "b"), at: 6, isNumbered: false)
        life.tell(life.failed("numbered"), of: "pay-1", at: 1)
        life.tell(life.failed("late"), of: "pay-1", at: 9, isNumbered: false)
        var events = life.events
        let expected = OrderSummaryFold(events).rows
        var differing = 0
        Self.permute(&events, events.count) { permutation in
            if OrderSummaryFold(permutation).rows != expected { differing += 1 }
        }
        #expect(differing == 0)
        #expect(expected[0].items?.lines.map(\.line?.quantity) == [4, 3])
        #expect(expected[0].failed?.fact.detail == "numbered")
    }

    @Test func everyCombinationHasItsStatus() {
        var wrong: [String] = []
        for order in StatusCombinations.all() {
            let row = OrderSummaryFold(order.events).rows[0]
            let isRight =
                row.status == order.status && row.paymentStatus == order.payment
                && row.shipmentStatus == order.shipment
            if !isRight { wrong.append(row.orderID) }
        }
        #expect(wrong.isEmpty)
    }

    /// All 40,320 orders of eight events, which touch every part of a row.
    @Test func anyPermutationMakesTheSameRow() throws {
        let full = Lifecycle.full()
        var events = [0, 1, 3, 6, 9, 10, 11, 14].map { full[$0] }
        let expected = OrderSummaryFold(events).rows
        var differing = 0
        var permutations = 0
        Self.permute(&events, events.count) { permutation in
            permutations += 1
            if OrderSummaryFold(permutation).rows != expected { differing += 1 }
        }
        #expect(permutations == 40_320)
        #expect(differing == 0)
    }

    /// The events are duplicated and shuffled. They are folded at once, in batches that are merged one after the other,
    /// and in batches that are merged as a tree.
    @Test(arguments: 0..<UInt64(20))
    func anyBatchingMakesTheSameRow(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        for _ in 0..<25 {
            let subset = Lifecycle.full().filter { _ in Int.random(in: 0..<4, using: &random) > 0 }
            guard let expected = OrderSummaryFold(subset).rows.first else { continue }
            let shuffled = subset.shuffledWithDuplicates(using: &random)
            #expect(OrderSummaryFold(shuffled).rows == [expected])

            var parts = shuffled.splitAtRandom(using: &random).map { OrderSummaryFold($0).rows[0] }
            var chained = parts[0]
            for part in parts { chained.merge(part) }
            #expect(chained == expected)

            while parts.count > 1 {
                let taken = parts.remove(at: Int.random(in: 0..<parts.count, using: &random))
                parts[Int.random(in: 0..<parts.count, using: &random)].merge(taken)
            }
            #expect(parts == [expected])
        }
    }

    /// Faulty writers may give two events the same sequence, or create an order twice. The result is still unique.
    @Test func faultyStreamsHaveOneOutcomeToo() throws {
        var events: [OrderEvent] = []
        for seed in 0..<3 {
            var life = Lifecycle(seed: UInt64(seed) + 10)
            let quantity = Int32(seed) + 1
            life.tell(life.created([Lifecycle.line("a", quantity, "1.0"), Lifecycle.line("b", 1, "1.00")]), at: 0)
            if seed == 2 {
                life.tell(.itemRemoved(productID: "a"), at: 0)
            } else {
                life.tell(.itemAdded(Lifecycle.line("a", 9, seed == 0 ? "2.0" : "2.00")), at: 0)
            }
            events += life.events
        }
        let expected = OrderSummaryFold(events).rows
        var differing = 0
        Self.permute(&events, events.count) { permutation in
            if OrderSummaryFold(permutation).rows != expected { differing += 1 }
        }
        #expect(differing == 0)
        #expect(expected[0].items?.lines.map(\.productID) == ["b"])
    }

    @Test func keepsOrdersApart() throws {
        let composed = "caf\u{e9}"
        let decomposed = "cafe\u{301}"
        #expect(composed == decomposed)
        let events = Lifecycle.full(orderID: composed) + Lifecycle.full(orderID: decomposed, seed: 2)
        let fold = OrderSummaryFold(events)
        #expect(fold.rows.count == 2)
        #expect(fold[composed] == OrderSummaryFold(Lifecycle.full(orderID: composed)).rows.first)
        #expect(fold["another"] == nil)
    }

    @Test func aProductNamedTwiceInOneEventHasItsLastLine() throws {
        let items = OrderItems(
            [Lifecycle.line("a", 1, "1"), Lifecycle.line("b", 1, "1"), Lifecycle.line("a", 7, "2")],
            by: EventStamp(
                sequence: 1, moment: EventMoment(at: Timestamp(microseconds: 0), eventID: EventID(high: 0, low: 0))))
        #expect(items.lines.compactMap(\.line?.quantity) == [7, 1])
        #expect(try items.total() == "15")
    }

    @Test func namesDifferencesButNotOfEventIDs() throws {
        let row = OrderSummaryFold(Lifecycle.full(seed: 1)).rows[0]
        let other = OrderSummaryFold(Lifecycle.full(seed: 2)).rows[0]
        #expect(row != other)
        let half = OrderSummaryFold(Array(Lifecycle.full().prefix(7))).rows[0]
        #expect(
            row.differences(from: half) == [
                "version", "updated_at", "cancelled", "paid", "failed", "refunded", "shipped", "delivered",
            ])
        #expect(row.differences(from: row).isEmpty)
    }

    /// Heap's algorithm.
    private static func permute(_ events: inout [OrderEvent], _ count: Int, _ body: ([OrderEvent]) -> Void) {
        if count <= 1 { return body(events) }
        for index in 0..<count {
            permute(&events, count - 1, body)
            events.swapAt(count.isMultiple(of: 2) ? index : 0, count - 1)
        }
    }
}
