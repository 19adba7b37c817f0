internal import AccountCommands
internal import Accounts
internal import Events
internal import StreamCore

/// The movements of a load. A movement depends only on the seed and its number, so several tasks can share the numbers.
struct BankPlan: Sendable {
    enum Command: Hashable, Sendable {
        case open(OpenAccount)
        case deposit(DepositMoney)
        case withdraw(WithdrawMoney)
        case transfer(TransferMoney)
    }

    /// A command and its idempotency key.
    struct Step: Hashable, Sendable {
        let command: Command
        let key: String
    }

    let seed: UInt64
    /// Distinguishes the accounts of this run from those of other runs.
    let run: String
    let accounts: Int

    private static let currencies = ["EUR", "EUR", "USD", "GBP"].map { code in
        guard let currency = Currency(code) else { preconditionFailure("\(code) is not three upper-case letters") }
        return currency
    }

    func accountID(_ number: Int) -> String { "acc-\(run)-\(paddedNumber(number + 1, width: 6))" }

    private func currency(of number: Int) -> Currency { Self.currencies[number % Self.currencies.count] }

    /// - Parameter number: the number of the account, from 0.
    func opening(of number: Int) -> Step {
        let owner = Customers.customer(number: number + 1).name
        let limit = DecimalAmount(coefficient: number % 10 == 0 ? 50_000 : 0, scale: 2)
        let opening = AccountOpened(owner: owner, currency: currency(of: number), overdraftLimit: limit)
        return Step(
            command: .open(OpenAccount(accountID: accountID(number), account: opening)), key: "\(run)-open-\(number)")
    }

    /// - Parameter number: the number of the movement, from 0.
    func movement(_ number: Int) -> Step {
        var random = SeededGenerator(seed: seed, stream: UInt64(number))
        let account = random.below(accounts)
        let amount = DecimalAmount(coefficient: Int128(100 + random.below(50_000)), scale: 2)
        let money = Money(amount, currency(of: account))
        let id = accountID(account)
        let command: Command
        switch random.below(100) {
        case ..<50: command = .deposit(DepositMoney(accountID: id, money: money))
        case ..<75: command = .withdraw(WithdrawMoney(accountID: id, money: money))
        default:
            command = .transfer(
                TransferMoney(
                    accountID: id, counterparty: accountID(partner(of: account, using: &random)), money: money,
                    transferID: "trf-\(run)-\(number)"))
        }
        return Step(command: command, key: "\(run)-\(number)")
    }

    /// Selects another account with the same currency, if there is one.
    private func partner(of account: Int, using random: inout SeededGenerator) -> Int {
        let stride = Self.currencies.count
        let column = account % stride
        let count = (accounts - column + stride - 1) / stride
        let row = (account / stride + 1 + random.below(max(1, count - 1))) % count
        return row * stride + column
    }
}
