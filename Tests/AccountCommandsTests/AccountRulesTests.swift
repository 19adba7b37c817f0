import Accounts
import Events
import Foundation
import StreamCore
import TestKit
import Testing

@Suite struct AccountRulesTests {
    static func euros(_ cents: Int, _ code: String = "EUR") -> Money {
        guard let currency = Currency(code) else { preconditionFailure("\(code) is no currency") }
        return Money(DecimalAmount(coefficient: Int128(cents), scale: 2), currency)
    }

    static func opened(overdraft cents: Int = 0) -> AccountOpened {
        AccountOpened(owner: "Ada", currency: euros(0).currency, overdraftLimit: euros(cents).amount)
    }

    /// The rules once more in whole cents, written apart from the others.
    struct Model {
        var balance: Int?
        var overdraft = 0
        var frozen = false

        mutating func play(_ step: Step) -> String? {
            if case .open(let limit) = step {
                if balance != nil { return "account-exists" }
                if limit < 0 { return "invalid-amount" }
                (balance, overdraft) = (0, limit)
                return nil
            }
            guard let current = balance else { return "unknown-account" }
            switch step {
            case .open: return nil
            case .freeze: frozen = true
            case .move(let cents, let isEuro, _):
                if !isEuro { return "currency-mismatch" }
                if cents == 0 { return "invalid-amount" }
                if frozen { return "account-frozen" }
                if cents < 0 && current + cents < -overdraft { return "insufficient-funds" }
                balance = current + cents
            }
            return nil
        }
    }

    enum Step {
        case open(limit: Int)
        /// Cents in or, below zero, out; by a transfer or in cash.
        case move(cents: Int, isEuro: Bool, byTransfer: Bool)
        case freeze
    }

    static func step<G: RandomNumberGenerator>(isFirst: Bool, using random: inout G) -> Step {
        switch Int.random(in: 0..<60, using: &random) {
        case 0..<(isFirst ? 50 : 2): return .open(limit: [0, 0, 5_000, -1].randomElement(using: &random) ?? 0)
        case 59: return .freeze
        default:
            return .move(
                cents: Int.random(in: -4_000...4_000, using: &random) / 100 * 100,
                isEuro: Int.random(in: 0..<12, using: &random) > 0, byTransfer: Bool.random(using: &random))
        }
    }

    static func command(_ step: Step) -> AccountCommand {
        switch step {
        case .open(let limit): return .open(opened(overdraft: limit))
        case .freeze: return .freeze(reason: "asked for")
        case .move(let cents, let isEuro, let byTransfer):
            let money = euros(abs(cents), isEuro ? "EUR" : "USD")
            if byTransfer {
                return .transfer(
                    TransferCompleted(
                        transferID: "t", direction: cents < 0 ? .out : .in, money: money, counterparty: "b"))
            }
            return cents < 0 ? .withdraw(money) : .deposit(money)
        }
    }

    @Test func tenThousandHistoriesAreAsTheModelSays() throws {
        let seed = ProcessInfo.processInfo.environment["SEED"].flatMap { UInt64($0) } ?? .random(in: 0...999_999)
        print("histories of accounts: SEED=\(seed)")
        var random = SplitMix64(seed: seed)
        var counts: [String: Int] = [:]
        for number in 0..<10_000 {
            var model = Model()
            var state: AccountState?
            var events: [AccountEvent] = []
            for place in 0..<Int.random(in: 2..<30, using: &random) {
                let step = Self.step(isFirst: place == 0, using: &random)
                let expected = model.play(step)
                var answer: String?
                do throws(Rejection<AccountRule>) {
                    for payload in try AccountDecider.decide(Self.command(step), state, AccountDecisionFacts()) {
                        let sequence = Int64(events.count + 1)
                        let event = AccountEvent(
                            payload, of: "a", sequence: sequence, at: Timestamp(microseconds: sequence),
                            eventID: EventID(high: 0, low: UInt64(sequence)))
                        events.append(event)
                        state = AccountDecider.evolve(state, event)
                    }
                } catch { answer = error.rule.rawValue }
                counts[answer ?? "done", default: 0] += 1
                guard answer == expected, state.map(\.balance) == model.balance.map({ Self.euros($0).amount }) else {
                    Issue.record("SEED=\(seed), history \(number), step \(place): \(step)")
                    return
                }
            }
            var again: AccountState?
            for event in events {
                let bytes = EventEncoder.envelope(event)
                guard case .event(let decoded) = try EventDecoder<AccountEventPayload>.decode(bytes.span) else {
                    Issue.record("SEED=\(seed): an event is not read back")
                    return
                }
                again = AccountDecider.evolve(again, decoded)
            }
            guard again == state else {
                Issue.record("SEED=\(seed), history \(number): the events make another state")
                return
            }
        }
        let reached = [
            "done", "unknown-account", "account-exists", "account-frozen", "insufficient-funds", "invalid-amount",
            "currency-mismatch",
        ]
        for rule in reached { #expect(counts[rule, default: 0] > 50, "\(rule): \(counts[rule, default: 0])") }
    }

    @Test func aBalanceHasALimit() throws {
        let most = Money(try DecimalAmount("999999999999999.99"), Self.euros(0).currency)
        var state: AccountState?
        func send(_ command: AccountCommand) -> String? {
            do {
                for payload in try AccountDecider.decide(command, state, AccountDecisionFacts()) {
                    state = AccountDecider.evolve(
                        state,
                        AccountEvent(
                            payload, of: "a", sequence: 1, at: Timestamp(microseconds: 1),
                            eventID: EventID(high: 0, low: 1)))
                }
                return nil
            } catch { return error.rule.rawValue }
        }
        #expect(send(.open(Self.opened())) == nil)
        #expect(send(.deposit(most)) == nil)
        #expect(send(.deposit(Self.euros(1))) == "balance-too-large")
        let tooFine = Money(try DecimalAmount("0.001"), most.currency)
        #expect(send(.deposit(tooFine)) == "invalid-amount")
    }
}
