import Events
import Orders
import StreamCore
import Testing

@testable import OrderShop

@Suite struct LoadPacingTests {
    @Test func ordersAreDueAtExactTimesHoweverManyThereWere() {
        let pacer = LoadPacer(ordersPerSecond: 30)
        #expect(pacer.due(0) == 0)
        #expect(pacer.due(30 * 86_400) == 86_400)
    }

    @Test func pacersThatShareARateTakeTurns() {
        let pacers = (0..<4).map { LoadPacer(ordersPerSecond: 10, phase: Double($0) / 4) }
        let due = (0..<50).flatMap { number in pacers.map { $0.due(number) } }
        for (index, time) in due.enumerated() { #expect(abs(time - Double(index) / 40) < 1e-9) }
    }

    @Test func withoutARateAllAreDueAtOnce() {
        #expect(LoadPacer(ordersPerSecond: 0).due(1_000_000) == 0)
    }

    private static func orders(rate: Double, count: Int?, window: Int = 10, lifetime: Double = 10) -> OpenOrders {
        let plan = OpenOrders.Plan(
            pacer: LoadPacer(ordersPerSecond: rate), first: 0, stride: 1, count: count, window: window,
            lifetimeSeconds: lifetime)
        let customers = Customers(count: 10)
        return OpenOrders(plan) { OrderLifecycle(number: $0, run: 1, seed: 9, customers: customers) }
    }

    private static func play(_ turns: inout [OpenOrders.Turn]) -> [OrderEvent] {
        var events: [OrderEvent] = []
        for index in turns.indices { events += turns[index].order.advance(at: Timestamp(microseconds: 0)) }
        return events
    }

    @Test func aStallIsMadeUpFor() {
        var orders = Self.orders(rate: 10, count: nil)
        // Nothing was taken for five seconds, so orders 0…50 are due.
        #expect(orders.take(at: 5, limit: 1_000).count == 51)
        #expect(orders.nextDue == 5.1)
    }

    @Test func atARateStepsFollowTheirPausesAndMixWithNewOrders() throws {
        var orders = Self.orders(rate: 5, count: 100)
        var now = 0.0
        var mostOpen = 0
        var events = 0
        while let due = orders.nextDue {
            #expect(due >= now)
            now = max(now, due)
            var turns = orders.take(at: now, limit: 4)
            try #require(!turns.isEmpty)
            events += Self.play(&turns).count
            orders.finish(turns, at: now)
            mostOpen = max(mostOpen, orders.openCount)
        }
        #expect(orders.isFinished)
        #expect(orders.started == 100)
        #expect(mostOpen > 20)
        // The last order starts at 19.8 s and lives at most a few lifetimes.
        #expect((20...60).contains(now))
        #expect(events == (0..<100).reduce(0) { $0 + OrderLifecycleTests.history($1, seed: 9).joined().count })
    }

    @Test func withoutARateAWindowOfOrdersIsOpenAndNobodyWaits() throws {
        var orders = Self.orders(rate: 0, count: 200, window: 25)
        var numbers: [Int] = []
        while let due = orders.nextDue {
            #expect(due == 0)
            var turns = orders.take(at: 0, limit: 8)
            try #require(!turns.isEmpty)
            #expect(Set(turns.map(\.number)).count == turns.count)
            #expect(orders.openCount <= 25)
            _ = Self.play(&turns)
            numbers += turns.map(\.number)
            orders.finish(turns, at: 0)
        }
        #expect(orders.isFinished)
        #expect(Set(numbers) == Set(0..<200))
        // The steps of several orders alternate. No order is played to its end before the next one begins.
        #expect(numbers != numbers.sorted())
    }

    @Test func closedItStartsNothingNew() {
        var orders = Self.orders(rate: 0, count: nil)
        var turns = orders.take(at: 0, limit: 3)
        orders.close()
        _ = Self.play(&turns)
        orders.finish(turns, at: 0)
        while orders.nextDue != nil {
            var turns = orders.take(at: 0, limit: 3)
            _ = Self.play(&turns)
            orders.finish(turns, at: 0)
        }
        #expect(orders.started == 3)
    }
}
