internal import ArgumentParser
internal import OrderShop
internal import Synchronization

/// `millrace load`: plays an order shop against the write model and its outbox.
struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Plays an order shop: orders, payments and shipments with their outbox rows.",
        discussion: """
            Customers of skewed activity order 1 to 8 items; orders are changed, confirmed, cancelled, paid, paid at \
            the second attempt, refunded, shipped in one parcel or two, delivered or abandoned. Each step is a \
            transaction. The same seed gives the same orders, under ids of their own in each run.

            Ends when all --orders are played to their end, after --duration, or at Ctrl-C.
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var shop: ShopOptions

    @Option(help: "New orders a second; 0 for as many as the database takes.")
    var rate = 50.0

    @Option(help: "How many orders to play to their end (default: no end).")
    var orders: Int?

    @Option(help: "How long to play; orders that are open then stay open (default: no end).")
    var duration: DurationArgument?

    @Flag(help: "Prints nothing but the totals.")
    var quiet = false

    func validate() throws {
        try shop.validate()
        guard rate >= 0, rate <= 1_000_000 else { throw ValidationError("--rate is 0 to 1000000.") }
        guard orders ?? 1 >= 1 else { throw ValidationError("--orders is at least 1.") }
    }

    func run() async throws {
        var configuration = shop.configuration
        configuration.ordersPerSecond = rate
        configuration.orders = orders
        configuration.duration = duration?.duration
        let trouble = RareNotice()
        let load = ShopLoad(
            configuration, database: try database.configuration(applicationName: "millrace-load"),
            onTrouble: { error in
                trouble.say("the database fails, trying on: \(error)")
            })
        let progress = LoadProgress(orders: orders, isShown: !quiet)
        let start = ContinuousClock.now
        let totals = try await StopSignals.run(onStop: { load.stop() }) {
            try await Self.withProgress(progress, of: load) { try await load.run() }
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        print(progress.summary(totals, seconds: seconds))
    }

    /// Shows how far `load` is, twice a second, while `body` runs.
    private static func withProgress(
        _ progress: LoadProgress, of load: ShopLoad, _ body: @escaping @Sendable () async throws -> ShopLoad.Totals
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

/// What `load` and `dev` let the user say about the shop.
struct ShopOptions: ParsableArguments {
    @Option(help: "The same seed gives the same orders.")
    var seed: UInt64 = 1

    @Option(help: "How many connections write.")
    var concurrency = 4

    @Option(help: "How many orders' steps one transaction may hold.")
    var batch = 1

    @Option(help: "How long a typical order lives; without a rate nothing waits for it.")
    var lifetime = DurationArgument(.seconds(10))

    @Option(help: "How many customers there are.")
    var customers = 10_000

    func validate() throws {
        guard (1...500).contains(concurrency) else { throw ValidationError("--concurrency is 1 to 500.") }
        guard (1...10_000).contains(batch) else { throw ValidationError("--batch is 1 to 10000.") }
        guard (1...1_000_000).contains(customers) else { throw ValidationError("--customers is 1 to 1000000.") }
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
