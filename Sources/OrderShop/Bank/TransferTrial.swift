internal import AccountCommands
internal import Accounts
public import Commands
internal import Events
public import Postgres
internal import StreamCore

/// Makes many concurrent transfers between a few accounts, through several buses, which act like several processes.
/// Then it checks that the sum of all balances has not changed. It sends some commands twice with one idempotency key,
/// both sequentially and concurrently.
public struct TransferTrial: Sendable {
    /// A check failed.
    public struct Broken: Error, Hashable, Sendable, CustomStringConvertible {
        public let description: String

        public init(description: String) {
            self.description = description
        }
    }

    public struct Totals: Hashable, Sendable {
        public var accepted = 0
        /// Transfers that were refused because the balance was too low.
        public var refused = 0
        /// Replayed answers of commands that were sent twice.
        public var repeated = 0
    }

    public let accounts: Int
    public let transfers: Int
    public let clients: Int
    private let currency: Currency

    /// The initial balance of each account, and the overdraft limit of every tenth account, in cents.
    private static let (opening, overdraft) = (10_000, 2_000)

    /// - Parameters:
    ///   - accounts: the number of accounts, at least 2.
    ///   - clients: the number of concurrent commands.
    public init(accounts: Int = 100, transfers: Int, clients: Int = 64) {
        precondition(
            accounts >= 2 && transfers >= 1 && clients >= 1,
            "there must be at least 2 accounts, 1 transfer and 1 client")
        self.accounts = accounts
        self.transfers = transfers
        self.clients = clients
        currency = ShopCurrency.euro.currency
    }

    private func id(_ number: Int) -> String { "trial-\(number)" }

    private func money(_ cents: Int) -> Money { Money(DecimalAmount(coefficient: Int128(cents), scale: 2), currency) }

    // MARK: transfers

    /// Opens the accounts with their initial balances.
    public func open(_ bus: CommandBus) async throws {
        for number in 0..<accounts {
            let limit = DecimalAmount(coefficient: Int128(number % 10 == 0 ? Self.overdraft : 0), scale: 2)
            let account = AccountOpened(owner: "Ada", currency: currency, overdraftLimit: limit)
            for outcome in [
                try await bus.send(OpenAccount(accountID: id(number), account: account)),
                try await bus.send(DepositMoney(accountID: id(number), money: money(Self.opening))),
            ] {
                guard case .accepted = outcome.verdict else { throw Broken(description: "\(outcome.verdict)") }
            }
        }
    }

    /// Makes the transfers.
    ///
    /// - Parameter buses: running buses with the commands of accounts.
    /// - Throws: ``Broken`` if a repeated command gets another answer; `CommandFailure`.
    public func run(_ buses: [CommandBus]) async throws -> Totals {
        try await withThrowingTaskGroup(of: Totals.self) { group in
            for client in 0..<clients { group.addTask { try await play(client, buses) } }
            return try await group.reduce(into: Totals()) { totals, part in
                totals.accepted += part.accepted
                totals.refused += part.refused
                totals.repeated += part.repeated
            }
        }
    }

    private func play(_ client: Int, _ buses: [CommandBus]) async throws -> Totals {
        var totals = Totals()
        for number in stride(from: client, to: transfers, by: clients) {
            let command = transfer(number)
            let key = IdempotencyKey(scope: "trial", key: "\(number)", request: [])
            let request = CommandRequest(idempotencyKey: key)
            let (one, other) = (buses[number % buses.count], buses[(number + 1) % buses.count])
            let outcome: CommandOutcome
            switch number % 10 {
            case 0:
                outcome = try await one.send(command, request)
                let again = try await other.send(command, request)
                guard again == CommandOutcome(outcome.verdict, isReplay: true) else {
                    throw Broken(description: "transfer \(number) gets another answer when it is repeated")
                }
                totals.repeated += 1
            case 5:
                async let left = one.send(command, request)
                async let right = other.send(command, request)
                let answers = try await [left, right]
                outcome = answers[0]
                guard answers[1].verdict == outcome.verdict, answers.count(where: { $0.isReplay }) == 1 else {
                    throw Broken(description: "transfer \(number), sent twice at once, has two answers")
                }
                totals.repeated += 1
            default: outcome = try await one.send(command, request)
            }
            switch outcome.verdict {
            case .accepted: totals.accepted += 1
            case .refused(let refusal):
                guard refusal.rule == AccountRule.insufficientFunds.rawValue else {
                    throw Broken(description: "transfer \(number) is refused by \(refusal.rule)")
                }
                totals.refused += 1
            }
        }
        return totals
    }

    /// The transfer with this number.
    private func transfer(_ number: Int) -> TransferMoney {
        var random = SeededGenerator(seed: 1, stream: UInt64(number))
        let source = random.below(accounts)
        let target = (source + 1 + random.below(accounts - 1)) % accounts
        return TransferMoney(
            accountID: id(source), counterparty: id(target), money: money(1 + random.below(5_000)),
            transferID: "trial-\(number)")
    }

    // MARK: verification

    /// - Throws: ``Broken`` if an account, an event or an answer is wrong.
    public func check(_ totals: Totals, _ bus: CommandBus, _ database: PostgresConfiguration) async throws {
        var sum = DecimalAmount.zero
        for number in 0..<accounts {
            guard let account = try await bus.aggregate(AccountDecider.self, id(number)) else {
                throw Broken(description: "\(id(number)) is gone")
            }
            sum = try sum.adding(account.state.balance)
        }
        guard sum == money(accounts * Self.opening).amount else {
            throw Broken(description: "the sum of all balances is \(sum) and not the initial sum")
        }
        try await PostgresConnection.with(database) { connection in
            for (statement, expected, meaning) in checks(totals) {
                let found = try await connection.execute(.unprepared(statement)).int64(0, 0)
                guard found == Int64(expected) else {
                    throw Broken(description: "\(meaning): \(found), not \(expected)")
                }
            }
        }
    }

    private func checks(_ totals: Totals) -> [(statement: String, expected: Int, meaning: String)] {
        [
            ("SELECT count(*) FROM command_answers WHERE scope = 'trial'", transfers, "answers that are kept"),
            (
                "SELECT count(*) FROM command_answers WHERE scope = 'trial' AND rule IS NOT NULL", totals.refused,
                "stored refusals"
            ),
            (
                "SELECT count(*) FROM stream_events WHERE event_type = 'TransferCompleted'", 2 * totals.accepted,
                "sides of transfers"
            ),
            // The balance after each event of each account, computed from the events alone.
            (
                """
                SELECT count(*) FROM (
                    SELECT aggregate_id, sum(CASE
                        WHEN event_type = 'MoneyDeposited' OR payload ->> 'direction' = 'in' THEN 1
                        WHEN event_type = 'TransferCompleted' THEN -1 ELSE 0 END
                            * coalesce((payload ->> 'amount')::numeric, 0))
                        OVER (PARTITION BY aggregate_id ORDER BY sequence) AS balance
                    FROM stream_events) AS b
                WHERE balance < CASE WHEN aggregate_id LIKE '%0' THEN -\(Self.overdraft / 100) ELSE 0 END
                """, 0, "balances below the limit"
            ),
            (
                """
                SELECT count(*) FROM stream_events AS e FULL JOIN outbox AS o USING (event_id)
                WHERE e.sequence IS DISTINCT FROM o.sequence OR e.payload::text IS DISTINCT FROM o.payload::text
                """, 0, "events that are missing in the outbox or differ there"
            ),
            (
                """
                SELECT count(*) FROM (
                    SELECT payload ->> 'transferId' FROM stream_events WHERE event_type = 'TransferCompleted'
                    GROUP BY 1 HAVING count(*) <> 2 OR count(DISTINCT payload ->> 'direction') <> 2) AS h
                """, 0, "transfers with one side"
            ),
        ]
    }
}
