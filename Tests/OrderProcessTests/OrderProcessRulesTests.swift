import Commands
import Events
import Foundation
import OrderProcess
import StreamCore
import Testing
import WireJSON

@testable import ProcessManagers

/// Random histories of one order: events, deadlines, repetitions and acts of others in any order.
@Suite struct OrderProcessRulesTests {
    /// Random rules for one history.
    private static func rules(using random: inout SplitMix64) -> OrderProcessRules {
        var rules = OrderProcessRules()
        rules.capture = Bool.random(using: &random) ? .process : .provider
        rules.stockTimeoutS = [0, 1_000].randomElement(using: &random) ?? 0
        rules.stockRetryS = 300
        rules.paymentTimeoutS = 600
        return rules
    }

    @Test func everyHistoryEndsWell() throws {
        let seed = ProcessInfo.processInfo.environment["SEED"].flatMap { UInt64($0) } ?? .random(in: 0...999_999)
        var random = SplitMix64(seed: seed)
        var ends: [String: Int] = [:]
        for number in 0..<20_000 {
            var world = OrderWorld(Self.rules(using: &random))
            var acts: [OrderWorld.Act] = []
            for _ in 0..<Int.random(in: 1..<25, using: &random) {
                guard let act = OrderWorld.Act.allCases.randomElement(using: &random) else { continue }
                // The transaction is rolled back and leaves nothing. The same input comes again later.
                if Int.random(in: 0..<8, using: &random) == 0 {
                    var lost = world
                    _ = try lost.act(act)
                }
                if try world.act(act) { acts.append(act) }
                let problem = Self.brokenAlways(world)
                try #require(problem == nil, "SEED=\(seed), history \(number): \(problem ?? "") after \(acts)")
            }
            try Self.settle(&world)
            let problem = Self.brokenAlways(world) ?? Self.brokenAtTheEnd(world)
            try #require(problem == nil, "SEED=\(seed), history \(number): \(problem ?? "") after \(acts)")
            ends["\(world.stored?.state.stage ?? "none") \(world.payment)", default: 0] += 1
        }
        // The histories must reach all these ends.
        for end in [
            "shipped captured", "cancelled none", "cancelled failed", "cancelled captured", "stopped none",
            "stopped captured", "stopped failed",
        ] {
            #expect(ends[end, default: 0] > 20, "SEED=\(seed): \(end) in \(ends)")
        }
    }

    /// Delivers all events and lets time pass until no deadline is left.
    private static func settle(_ world: inout OrderWorld) throws {
        for _ in 0..<100 {
            while !world.isQuiet {
                _ = try world.act(.deliverOrderEvent)
                _ = try world.act(.deliverPaymentEvent)
            }
            _ = try world.act(.handleDeadline)
            if world.isQuiet, world.stored?.state.due == nil { return }
            _ = try world.act(.passTime)
        }
        Issue.record("the process does not come to rest")
    }

    /// Returns the violated rule of those that hold after each transaction; nil if there is none.
    private static func brokenAlways(_ world: OrderWorld) -> String? {
        if world.shipments > 0, world.isCancelled { return "shipped and cancelled" }
        if world.shipments > 1 { return "shipped twice" }
        if world.captures > 1 { return "captured twice" }
        if world.refunded > 4 { return "more was refunded than captured" }
        guard let state = world.stored?.state else {
            return world.isReserved || world.payment != .none ? "held without a process" : nil
        }
        if state.isFinished, state.due != nil { return "finished, and due" }
        if state.stage == "working" || state.stage == "cancelling" { return "stored in the middle of its steps" }
        if state.stage == "cancelled" {
            if !world.isCancelled { return "the order is not cancelled" }
            if world.isReserved { return "stock is left reserved" }
            if world.payment == .authorized { return "the payment is left authorized" }
            if world.payment == .captured, world.refunded < 4 { return "the money is kept" }
        }
        if state.stage == "shipped" {
            if world.shipments != 1 || world.payment != .captured { return "not shipped, or not paid" }
            if world.isReserved { return "stock is left reserved" }
        }
        return nil
    }

    /// Returns the violated rule of those that hold when all events are read and no deadline is left; nil if there is
    /// none.
    private static func brokenAtTheEnd(_ world: OrderWorld) -> String? {
        guard let state = world.stored?.state else { return "no process" }
        switch state.stage {
        case "shipped", "cancelled": return nil
        case "stopped" where world.isShippedByHand: return nil
        default: return "left in \(state.stage)"
        }
    }

    // MARK: single rules

    @Test func aPaymentInTimeBeatsItsDeadline() throws {
        var rules = OrderProcessRules()
        rules.capture = .provider
        var world = OrderWorld(rules)
        #expect(try world.act(.deliverOrderEvent))
        #expect(world.stored?.state.stage == "awaiting_payment")
        #expect(try world.act(.capturePayment))
        for _ in 0..<3 { _ = try world.act(.passTime) }
        // The deadline is handled before the event arrives, and finds the captured payment.
        #expect(try world.act(.handleDeadline))
        #expect(world.stored?.state.stage == "shipped")
        let steps = world.stored?.stepCount
        #expect(try world.act(.deliverPaymentEvent))
        #expect(try world.act(.deliverPaymentEvent))
        #expect(world.stored?.stepCount == steps, "an event without news adds no step")
        #expect(world.captures == 1 && world.refunded == 0)
    }

    @Test func olderOrdersAreLeftAlone() throws {
        var rules = OrderProcessRules()
        rules.since = Timestamp(microseconds: OrderWorld.policyStart.microseconds + 1)
        var world = OrderWorld(rules)
        #expect(try world.act(.deliverOrderEvent))
        #expect(world.stored == nil && world.payment == .none)
        rules.since = OrderWorld.policyStart
        world = OrderWorld(rules)
        #expect(try world.act(.deliverOrderEvent))
        #expect(world.stored?.state.stage == "shipped")
    }

    @Test func anEndlessPolicyIsFoundOut() throws {
        let policy = EndlessPolicy()
        var work = ProcessWork(policy, [], at: OrderWorld.policyStart)
        let event = OrderEventOf.confirmation("o")
        work.add(.event(event), to: "o")
        #expect(throws: ProcessLoop.self) {
            while true {
                let steps = work.advance()
                if steps.isEmpty { break }
                try work.answer(steps.map { ($0, .refused(OrderEventOf.refusal)) })
            }
        }
    }

    @Test func aStateIsReadAsItWasWritten() throws {
        var rules = OrderProcessRules()
        rules.capture = .provider
        rules.stockTimeoutS = 100
        var world = OrderWorld(rules)
        #expect(try world.act(.loseStock))
        #expect(try world.act(.deliverOrderEvent))
        for stage in ["awaiting_stock", "awaiting_payment"] {
            let state = try #require(world.stored?.state)
            #expect(state.stage == stage && state.due != nil && state.stockUntil != nil)
            var writer = JSONWriter()
            state.write(to: &writer)
            let bytes = writer.finish()
            var fields = try FieldReader(bytes.span)
            #expect(try OrderProcessState(reading: &fields, format: 1) == state)
            var newer = try FieldReader(bytes.span)
            #expect(throws: DecodeProblem.self) { _ = try OrderProcessState(reading: &newer, format: 2) }
            _ = try world.act(.receiveStock)
            _ = try world.act(.passTime)
            _ = try world.act(.handleDeadline)
        }
    }

    @Test func identitiesOfLongOnesFit() {
        let long = String(repeating: "é", count: 127)
        let other = String(repeating: "é", count: 126) + "e"
        for id in [OrderProcessPolicy.paymentID(of: long), OrderProcessPolicy.shipmentID(of: long)] {
            #expect(id.utf8.count <= 255)
        }
        #expect(OrderProcessPolicy.paymentID(of: long) != OrderProcessPolicy.paymentID(of: other))
        #expect(OrderProcessPolicy.paymentID(of: "ord-1") == "pay-ord-1")
    }
}
