import OrderSummary
import Orders
import StreamCore
import Testing

@testable import Dashboard

@Suite struct FactsTests {
    /// Every permutation of an order's events gives the same facts, and so counts for the same.
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

    /// Whole lives, shuffled, with duplicates, and merged from parts that were folded apart.
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

    /// Both read models tell the same status of an order.
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
        #expect(try PaymentFacts.payments(json: PaymentFacts.json(facts.payments).span) == facts.payments)
    }

    @Test func idsThatLookTheSameAreTwo() {
        // é as one code point, and as two.
        let lines = ["caf\u{E9}", "cafe\u{301}"].map {
            OrderLine(productID: $0, name: "Coffee", quantity: 1, unitPrice: .zero)
        }
        #expect(OrderLines(lines, sequence: 1).entries.count == 2)
    }

    @Test func storedFactsOfAnotherFormAreRefused() {
        let lines = [
            "", "{}", "[[1]]", #"[["a"]]"#, #"[["a",1,2]]"#, #"[["a",1,2,"x","n"]]"#, #"[["a",1,2,"1","n",3]]"#,
        ]
        for json in lines {
            #expect(throws: StoredFactsError.self) { try OrderLines(json: json.utf8Span.span) }
        }
        for json in ["null", #"[["p"]]"#, #"[["p",null,null]]"#, #"[["p",[1,"x","1","EUR"],null,null]]"#] {
            #expect(throws: StoredFactsError.self) { try PaymentFacts.payments(json: json.utf8Span.span) }
        }
    }
}

@Suite struct DurationBinTests {
    /// Bins touch each other, and none is wider than a sixteenth of where it begins.
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
