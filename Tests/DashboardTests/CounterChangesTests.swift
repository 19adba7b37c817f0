import Events
import Orders
import StreamCore
import Testing

@testable import Dashboard

@Suite struct CounterChangesTests {
    /// In any order of events, the changes of all batches add up to the final counts of the orders.
    @Test(arguments: 0..<UInt64(40)) func changesAddUp(_ seed: UInt64) throws {
        var orders = RandomOrders(seed: seed)
        let events = (0..<12).flatMap { orders.events(of: "order-\($0)") }
        var expected = CounterChanges()
        for facts in OrderFactsFold(events).changes {
            try expected.move(from: Contribution(of: OrderFacts(orderID: facts.orderID)), to: Contribution(of: facts))
        }
        var changes = CounterChanges()
        var stored: [String: OrderFacts] = [:]
        let batches = events.shuffledWithDuplicates(using: &orders.random)
            .splitAtRandom(largest: 20, using: &orders.random)
        for batch in batches {
            for change in OrderFactsFold(batch).changes {
                let before = stored[change.orderID] ?? OrderFacts(orderID: change.orderID)
                var after = before
                after.merge(change)
                try changes.move(from: Contribution(of: before), to: Contribution(of: after))
                stored[change.orderID] = after
            }
        }
        #expect(changes.minutes.filter { !$0.value.isNothing } == expected.minutes.filter { !$0.value.isNothing })
        #expect(changes.statuses.filter { $0.value != 0 } == expected.statuses)
        #expect(changes.customers.filter { !$0.value.isNothing } == expected.customers.filter { !$0.value.isNothing })
        #expect(changes.durations.filter { $0.value != 0 } == expected.durations)
        #expect(
            changes.products.filter { $0.value.units != 0 } == expected.products.filter { $0.value.units != 0 })
    }

    @Test func aPaymentBeforeItsOrderCountsAtOnceAndForTheCustomerLater() throws {
        let euro = RandomOrders.currency("EUR")
        let money = Money(DecimalAmount(coefficient: 1_950, scale: 2), euro)
        func event(_ aggregateID: String, _ payload: OrderEventPayload) -> OrderEvent {
            OrderEvent(
                identity: EventIdentity(
                    eventID: EventID(high: 1, low: 1), eventType: payload.type.rawValue, aggregateID: aggregateID,
                    sequence: 1, timestamp: Timestamp(microseconds: RandomOrders.start)),
                payload: payload)
        }
        let paid = OrderFacts(
            event("pay", .paymentCompleted(PaymentCompleted(orderID: "order", money: money, method: "card"))))
        var early = CounterChanges()
        try early.move(from: Contribution(of: OrderFacts(orderID: "order")), to: Contribution(of: paid))
        #expect(early.minutes.values.map(\.revenue) == [money.amount])
        #expect(early.statuses == [.incomplete: 1])
        #expect(early.customers.isEmpty && early.products.isEmpty && early.durations.isEmpty)

        var both = paid
        let price = DecimalAmount(coefficient: 65, scale: 1)
        let line = OrderLine(productID: "a", name: "A", quantity: 3, unitPrice: price)
        both.merge(
            event(
                "order",
                .orderCreated(
                    OrderCreated(
                        customerID: "c", currency: euro, items: [line], shippingAddress: RandomOrders.address))))
        var late = CounterChanges()
        try late.move(from: Contribution(of: paid), to: Contribution(of: both))
        #expect(late.minutes.values.map(\.revenue) == [.zero])
        #expect(late.statuses == [.incomplete: -1, .paid: 1])
        #expect(late.customers.values.map(\.spent) == [money.amount])
        #expect(late.products.values.map(\.units) == [3])
        #expect(late.products.values.map(\.revenue) == [money.amount])
        #expect(late.durations.values.map { $0 } == [1])
    }

    @Test func currenciesAreNeverAddedUp() throws {
        var changes = CounterChanges()
        for (number, currency) in RandomOrders.currencies.enumerated() {
            let money = Money(DecimalAmount(coefficient: 5, scale: 0), currency)
            let moment = EventMoment(
                at: Timestamp(microseconds: RandomOrders.start), eventID: EventID(high: 1, low: 1))
            var facts = OrderFacts(orderID: "order-\(number)")
            facts.payments.merge(
                PaymentFacts(
                    id: "p\(number)", completed: Register(EventStamp(sequence: 1, moment: moment), money)))
            try changes.move(from: Contribution(of: OrderFacts(orderID: facts.orderID)), to: Contribution(of: facts))
        }
        #expect(changes.minutes.count == 2)
        #expect(changes.minutes.values.allSatisfy { $0.revenue == DecimalAmount(coefficient: 5, scale: 0) })
    }

    @Test func bucketsBeforeTheEpochBeginBeforeTheirEvents() {
        let instant = Timestamp(microseconds: -1)
        #expect(Bucket.minute.start(of: instant) == -60_000_000)
        #expect(Bucket.hour.start(of: instant) == -3_600_000_000)
        #expect(Bucket.day.start(of: Timestamp(microseconds: 0)) == 0)
    }
}
