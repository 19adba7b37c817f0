internal import ArgumentParser
internal import CommandSupport
internal import Logging
internal import Migrations
internal import OrderShop
internal import Postgres
internal import Synchronization

/// `millrace load`: simulates an order shop or a bank that writes to the write model and its outbox.
struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Simulates an order shop or a bank: writes the changes together with their outbox rows.",
        discussion: """
            --domain shop: The command registers products, their stock and customers, and then changes them. It uses \
            the rules and the tables of command-service, so each of the two can continue with the data of the other. \
            Customers order 1 to 8 items; some customers order more often than others. Orders are changed, confirmed, \
            cancelled, paid, paid at the second attempt, refunded, shipped in one parcel or two, delivered or \
            abandoned. Each step is a transaction. The same seed gives the same orders, with new ids in each run.

            --domain bank: The command opens accounts, and deposits, withdraws and transfers money by the rules of \
            command-service. It counts the movements that a rule refuses. The same seed gives the same movements, of \
            new accounts in each run.

            --via http: The command sends the orders, their payments and their parcels to a command-service, as a \
            client would. Each command has an idempotency key and is sent again until it has an answer. At most \
            --concurrency requests are open at the same time. Customers and products are created when an order first \
            names them, with idempotency keys that are the same in each run. If the service does not have these \
            domains, the orders contain the ids that a load into the database uses. If a rule refuses a command, its \
            order ends and is counted. With --domain bank, the accounts are also opened over HTTP, and the service \
            chooses their ids.

            The command ends when all --orders (or --movements) are complete, after --duration, or on Ctrl-C.
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var shop: ShopOptions

    enum Domain: String, ExpressibleByArgument, CaseIterable {
        case shop
        case bank
    }

    @Option(help: "What to simulate: shop or bank.")
    var domain = Domain.shop

    enum Way: String, ExpressibleByArgument, CaseIterable {
        case database
        case http
    }

    @Option(help: "Where the changes go: database, or http to a command-service.")
    var via = Way.database

    @OptionGroup var service: CommandServiceOptions

    @OptionGroup var bank: BankOptions

    @Option(help: "New orders, or movements, a second; 0 for the maximum rate of the database.")
    var rate = 50.0

    @Option(help: "Number of orders to complete (default: no limit).")
    var orders: Int?

    @Option(help: "Duration of the load. Open orders then stay open (default: no limit).")
    var duration: DurationArgument?

    @Flag(help: "Prints only the totals.")
    var quiet = false

    func validate() throws {
        try shop.validate()
        guard rate >= 0, rate <= 1_000_000 else { throw ValidationError("--rate must be 0 to 1000000.") }
        guard orders ?? 1 >= 1 else { throw ValidationError("--orders must be at least 1.") }
        try bank.validate()
        switch domain {
        case .shop where bank.movements != nil: throw ValidationError("--movements requires --domain bank.")
        case .bank where orders != nil: throw ValidationError("--orders requires --domain shop.")
        case .shop, .bank: break
        }
        try service.validate(isUsed: via == .http)
        if via == .http, shop.batch != 1 { throw ValidationError("--batch requires --via database.") }
    }

    func run() async throws {
        switch domain {
        case .shop where via == .http: try await playRemoteShop()
        case .shop: try await playShop()
        case .bank where via == .http: try await playRemoteBank()
        case .bank: try await playBank()
        }
    }

    private var bankConfiguration: BankLoad.Configuration {
        var configuration = bank.configuration(shop)
        configuration.movementsPerSecond = rate
        configuration.duration = duration?.duration
        return configuration
    }

    private func playBank() async throws {
        let postgres = try await checkedDatabase(["outbox", "commands"])
        let trouble = RareNotice()
        let load = try BankLoad(
            bankConfiguration, database: postgres,
            logger: Logger(label: "millrace.load") { _ in SwiftLogNoOpLogHandler() },
            onTrouble: { trouble.say("a command had no answer (\($0)); sending it again") })
        try await play(load)
    }

    private func playRemoteBank() async throws {
        try await withService { try await play(RemoteBankLoad(bankConfiguration, client: $0)) }
    }

    private func play(_ load: some PlayedBank) async throws {
        let totals = try await StopSignals.run(onStop: { load.stop() }) { try await load.run() }
        print("\(totals.accounts) accounts, \(totals.movements) movements, \(totals.refused) refused by a rule")
    }

    private var shopConfiguration: ShopLoad.Configuration {
        var configuration = shop.configuration
        configuration.playsCatalogue = true
        configuration.ordersPerSecond = rate
        configuration.orders = orders
        configuration.duration = duration?.duration
        return configuration
    }

    private func playRemoteShop() async throws {
        try await withService { try await play(RemoteShopLoad(shopConfiguration, client: $0)) }
    }

    /// Runs `body` with a client of the command-service.
    private func withService(_ body: (CommandServiceClient) async throws -> Void) async throws {
        let trouble = RareNotice()
        let client = CommandServiceClient(try service.configuration()) {
            trouble.say("a command had no answer (\($0)); sending it again")
        }
        do {
            try await body(client)
        } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }

    /// The database, which must have the tables of these migration sets.
    private func checkedDatabase(_ sets: [String]) async throws -> PostgresConfiguration {
        let postgres = try database.configuration(applicationName: "millrace-load")
        let missing = try await Migrator(postgres).status(sets).filter { $0.state == .missing }.map(\.set)
        guard missing.isEmpty else {
            let arguments = sets.filter(missing.contains).map { " --set \($0)" }.joined()
            throw CommandFailure("the database lacks tables; run millrace migrate up\(arguments)", .configuration)
        }
        return postgres
    }

    private func playShop() async throws {
        let postgres = try await checkedDatabase(["outbox", "orders", "commands", "inventory", "products"])
        let trouble = RareNotice()
        let load = ShopLoad(
            shopConfiguration, database: postgres,
            onTrouble: { error in
                trouble.say("database error; trying again: \(error)")
            })
        try await play(load)
    }

    private func play(_ load: some PlayedShop) async throws {
        let progress = LoadProgress(orders: orders, isShown: !quiet)
        let start = ContinuousClock.now
        let totals = try await StopSignals.run(onStop: { load.stop() }) {
            try await Self.withProgress(progress, of: load) { try await load.run() }
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        print(progress.summary(totals, seconds: seconds))
    }

    /// Shows the progress of `load` twice a second while `body` runs.
    private static func withProgress(
        _ progress: LoadProgress, of load: some PlayedShop,
        _ body: @escaping @Sendable () async throws -> ShopLoad.Totals
    ) async throws -> ShopLoad.Totals {
        try await withThrowingTaskGroup(of: ShopLoad.Totals?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                var progress = progress
                while !Task.isCancelled {
                    progress.show(load.totals)
                    try? await Task.sleep(for: .milliseconds(500))
                }
                progress.clear()
                return nil
            }
            defer { group.cancelAll() }
            while let finished = try await group.next() {
                guard let totals = finished else { continue }
                group.cancelAll()
                try await group.waitForAll()
                return totals
            }
            return load.totals
        }
    }
}

/// The options of the bank for `load`.
struct BankOptions: ParsableArguments {
    @Option(help: "Number of movements to make (default: no limit).")
    var movements: Int?

    @Option(help: "Number of accounts.")
    var accounts = 1_000

    func validate() throws {
        guard movements ?? 1 >= 1 else { throw ValidationError("--movements must be at least 1.") }
        guard (2...1_000_000).contains(accounts) else { throw ValidationError("--accounts must be 2 to 1000000.") }
    }

    /// - Parameter common: the options with the seed and the number of connections.
    func configuration(_ common: ShopOptions) -> BankLoad.Configuration {
        var configuration = BankLoad.Configuration()
        configuration.seed = common.seed
        configuration.connections = common.concurrency
        configuration.movements = movements
        configuration.accounts = accounts
        return configuration
    }
}

/// The options of the shop for `load` and `dev`.
struct ShopOptions: ParsableArguments {
    @Option(help: "Seed of the random numbers. The same seed gives the same orders.")
    var seed: UInt64 = 1

    @Option(help: "Number of connections that write.")
    var concurrency = 4

    @Option(help: "Maximum number of orders in one transaction.")
    var batch = 1

    @Option(help: "Duration of a typical order. Without a rate it is ignored.")
    var lifetime = DurationArgument(.seconds(10))

    @Option(help: "Number of customers.")
    var customers = 10_000

    func validate() throws {
        guard (1...500).contains(concurrency) else { throw ValidationError("--concurrency must be 1 to 500.") }
        guard (1...10_000).contains(batch) else { throw ValidationError("--batch must be 1 to 10000.") }
        guard (1...1_000_000).contains(customers) else { throw ValidationError("--customers must be 1 to 1000000.") }
    }

    var configuration: ShopLoad.Configuration {
        var configuration = ShopLoad.Configuration()
        configuration.seed = seed
        configuration.connections = concurrency
        configuration.ordersPerTransaction = batch
        configuration.orderLifetime = lifetime.duration
        configuration.customers = customers
        return configuration
    }
}
