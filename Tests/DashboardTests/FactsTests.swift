import Events
import OrderSummary
import Orders
import StreamCore
import Testing

@testable import Dashboard

@Suite struct FactsTests {
    private typealias Shipments = ShipmentFacts<Dashboard.ShippedFact>

    /// Every permutation of an order's events gives the same facts, and therefore the same counts.
    @Test(arguments: 0..<UInt64(12)) func anyOrderGivesTheSameFacts(_ seed: UInt64) throws {
        var orders = RandomOrders(seed: seed)
        let events = Array(orders.events(of: "order-1").shuffled(using: &orders.random).prefix(6))
        let expected = try #require(OrderFactsFold(events).changes.first)
        for permutation in events.permutations() {
            let facts = OrderFactsFold(permutation).changes[0]
            #expect(facts == expected)
            #expect(Contribution(of: facts) == Contribution(of: expected))
        }
    }

    /// All events of an order are shuffled, duplicated, folded in parts and merged.
    @Test(arguments: 0..<UInt64(300)) func partsMergeToTheWhole(_ seed: UInt64) throws {
        var orders = RandomOrders(seed: seed)
        let events = orders.events(of: "order-1")
        let expected = OrderFactsFold(events).changes[0]
        var merged = OrderFacts(orderID: "order-1")
        let parts = events.shuffledWithDuplicates(using: &orders.random).splitAtRandom(
            largest: 4, using: &orders.random)
        for part in parts { merged.merge(OrderFactsFold(part).changes[0]) }
        #expect(merged == expected)
    }

    @Test func anAuthorizationIsSkipped() {
        let money = Money(DecimalAmount(coefficient: 5, scale: 0), RandomOrders.currency("EUR"))
        let payload = OrderEventPayload.paymentAuthorized(
            PaymentAuthorized(orderID: "order-1", money: money, method: "card"))
        let event = OrderEvent(
            payload, of: "pay-1", sequence: 1, at: Timestamp(microseconds: 1), eventID: EventID(high: 0, low: 1))
        #expect(OrderFactsFold([event]).changes.isEmpty)
    }

    /// The facts of one payment follow its sequence, whatever the clocks say. Each refund counts.
    @Test func aLaterSequenceHoldsWhateverTheClockSays() throws {
        let euro = RandomOrders.currency("EUR")
        func money(_ amount: Int128) -> Money { Money(DecimalAmount(coefficient: amount, scale: 0), euro) }
        func event(_ sequence: Int64, _ seconds: Int64, _ payload: OrderEventPayload) -> OrderEvent {
            let at = Timestamp(microseconds: RandomOrders.start - seconds * 1_000_000)
            return OrderEvent(
                identity: EventIdentity(
                    eventID: EventID(high: .max - UInt64(sequence), low: 1), eventType: payload.type.rawValue,
                    aggregateID: "pay", sequence: sequence, timestamp: at), payload: payload)
        }
        func setback(_ amount: Int128) -> PaymentSetback {
            PaymentSetback(orderID: "order", money: money(amount), reason: "r")
        }
        let events = [
            event(1, 0, .paymentFailed(setback(1))), event(2, 0, .paymentFailed(setback(2))),
            event(3, 5, .paymentFailed(setback(3))),
            event(4, 4, .paymentCompleted(PaymentCompleted(orderID: "order", money: money(10), method: "card"))),
            event(5, 3, .paymentRefunded(setback(4))), event(6, 9, .paymentRefunded(setback(6))),
        ]
        for permutation in events.permutations() {
            let facts = OrderFactsFold(permutation).changes[0]
            #expect(facts.payments.all.map(\.failed?.fact) == [money(3)])
            #expect(PaymentStatus(facts.payments) == .refunded)
            let refunds = Contribution(of: facts).payments.filter { $0.counter == .paymentsRefunded }
            #expect(refunds.map(\.money) == [money(4), money(6)])
        }
        #expect(PaymentStatus(OrderFactsFold(Array(events.prefix(5))).changes[0].payments) == .partiallyRefunded)
    }

    /// Both read models show the same status of an order.
    @Test(arguments: 0..<UInt64(300)) func theStatusIsThatOfTheOrderSummary(_ seed: UInt64) throws {
        var orders = RandomOrders(seed: seed)
        let all = orders.events(of: "order-1")
        let some = all.filter { _ in Int.random(in: 0..<4, using: &orders.random) > 0 }
        for events in [all, some] where !events.isEmpty {
            #expect(
                OrderFactsFold(events).changes[0].status.rawValue == OrderSummaryFold(events).rows[0].status.rawValue)
        }
    }

    @Test(arguments: 0..<UInt64(100)) func linesAndPaymentsComeBackFromJSON(_ seed: UInt64) throws {
        var orders = RandomOrders(seed: seed)
        let facts = OrderFactsFold(orders.events(of: "order-1")).changes[0]
        let lines = try #require(facts.lines)
        #expect(try OrderLines(json: lines.json().span) == lines)
        let payments = PaymentFacts<Money>.json(facts.payments)
        #expect(try PaymentFacts<Money>.payments(json: payments.span) == facts.payments)
        let shipments = Shipments.json(facts.shipments)
        #expect(try Shipments.shipments(json: shipments.span) == facts.shipments)
    }

    @Test func idsThatLookTheSameAreTwo() throws {
        // The letter é as one code point and as two.
        let lines = ["caf\u{E9}", "cafe\u{301}"].map {
            OrderLine(productID: $0, name: "Coffee", quantity: 1, unitPrice: .zero)
        }
        let stamp = EventStamp(
            sequence: 0, moment: EventMoment(at: Timestamp(microseconds: 7), eventID: EventID(high: 1, low: 2)))
        let known = OrderLines(lines, by: stamp)
        #expect(known.entries.count == 2)
        #expect(try OrderLines(json: known.json().span) == known)
    }

    @Test func storedFactsOfAnotherFormAreRefused() {
        let lines = [
            "", "{}", "[[1]]", #"[["a"]]"#, #"[["a",1,2]]"#, #"[["a",1,2,"x","n"]]"#, #"[["a",1,2,"1","n",3]]"#,
        ]
        for json in lines {
            #expect(throws: StoredFactsError.self) { try OrderLines(json: json.utf8Span.span) }
        }
        let payments = [
            "null", #"[["p"]]"#, #"[["p",null,null]]"#, #"[["p",[1,2,"x","1","EUR"],null,null]]"#,
            #"[["p",null,null,[1]]]"#,
        ]
        for json in payments {
            #expect(throws: StoredFactsError.self) { try PaymentFacts<Money>.payments(json: json.utf8Span.span) }
        }
        for json in ["null", #"[["s"]]"#, #"[["s",null]]"#, #"[["s",[1,2],null]]"#, #"[["s",null,null,null]]"#] {
            #expect(throws: StoredFactsError.self) { try Shipments.shipments(json: json.utf8Span.span) }
        }
    }
}

@Suite struct DurationBinTests {
    /// The bins have no gaps, and none is wider than a sixteenth of its start.
    @Test func binsCoverAllDurations() {
        var atLeastMs: Int64 = 0
        var count = 0
        while atLeastMs < 100 * 365 * 86_400_000 {
            let first = DurationBin(microseconds: atLeastMs * 1_000)
            let last = DurationBin(microseconds: first.belowMs * 1_000 - 1)
            #expect(first.atLeastMs == atLeastMs)
            #expect(last == first)
            #expect((first.belowMs - first.atLeastMs - 1) * 16 < max(first.atLeastMs, 1))
            atLeastMs = first.belowMs
            count += 1
        }
        #expect(count < 700)
    }

    @Test func durationsBeforeTheBeginningAreNone() {
        #expect(DurationBin(microseconds: -5_000_000).atLeastMs == 0)
        #expect(DurationBin(microseconds: .max).atLeastMs > 0)
    }
}
