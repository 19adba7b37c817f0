import Accounts
import CommandKit
import Events
import StreamCore
import Testing

/// The rules of accounts in whole cents, implemented independently of the decider.
struct AccountModel: HistoryModel {
    typealias D = AccountDecider
    typealias Rules = AccountRulesTests

    enum Step {
        case open(limit: Int)
        /// Moves cents into the account, or out of it if negative, by a transfer or in cash.
        case move(cents: Int, isEuro: Bool, byTransfer: Bool)
        case freeze
    }

    private var balance: Int?
    private var overdraft = 0
    private var frozen = false

    static func step(isFirst: Bool, using random: inout SplitMix64) -> Step {
        switch Int.random(in: 0..<60, using: &random) {
        case 0..<(isFirst ? 50 : 2): return .open(limit: [0, 0, 5_000, -1].randomElement(using: &random) ?? 0)
        case 59: return .freeze
        default:
            return .move(
                cents: Int.random(in: -4_000...4_000, using: &random) / 100 * 100,
                isEuro: Int.random(in: 0..<12, using: &random) > 0, byTransfer: Bool.random(using: &random))
        }
    }

    static func command(_ step: Step, after _: [AccountEvent]) -> (AccountCommand, AccountDecisionFacts) {
        (command(step), AccountDecisionFacts())
    }

    private static func command(_ step: Step) -> AccountCommand {
        switch step {
        case .open(let limit): return .open(Rules.opened(overdraft: limit))
        case .freeze: return .freeze(reason: "asked for")
        case .move(let cents, let isEuro, let byTransfer):
            let money = Rules.euros(abs(cents), isEuro ? "EUR" : "USD")
            if byTransfer {
                return .transfer(
                    TransferCompleted(
                        transferID: "t", direction: cents < 0 ? .out : .in, money: money, counterparty: "b"))
            }
            return cents < 0 ? .withdraw(money) : .deposit(money)
        }
    }

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

    func isLike(_ state: AccountState?) -> Bool {
        state.map(\.balance) == balance.map { Rules.euros($0).amount } && state?.isFrozen ?? false == frozen
    }
}

@Suite struct AccountRulesTests {
    static func euros(_ cents: Int, _ code: String = "EUR") -> Money {
        guard let currency = Currency(code) else { preconditionFailure("\(code) is no currency") }
        return Money(DecimalAmount(coefficient: Int128(cents), scale: 2), currency)
    }

    static func opened(overdraft cents: Int = 0) -> AccountOpened {
        AccountOpened(owner: "Ada", currency: euros(0).currency, overdraftLimit: euros(cents).amount)
    }

    @Test func tenThousandHistoriesAreAsTheModelSays() {
        Histories<AccountModel>.check(
            "accounts",
            reaching: [
                "unknown-account", "account-exists", "account-frozen", "insufficient-funds", "invalid-amount",
                "currency-mismatch",
            ])
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
