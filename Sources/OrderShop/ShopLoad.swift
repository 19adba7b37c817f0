public import Events
internal import Foundation
public import Orders
public import Postgres
internal import StreamCore
internal import Synchronization

/// Plays an order shop against a database: many orders open at once, each step of each one a transaction that changes
/// the write model and adds the events to the outbox.
///
/// ```
/// let load = ShopLoad(configuration, database: database)
/// let totals = try await load.run()
/// ```
public final class ShopLoad: PlayedShop {
    /// What to play.
    public struct Configuration: Sendable {
        /// The same seed gives the same orders.
        public var seed: UInt64 = 1
        /// New orders a second; 0 for as many as the database takes.
        public var ordersPerSecond = 50.0
        /// How many orders to play to their end; nil for no end.
        public var orders: Int?
        /// How long to play; orders that are open then stay so. nil for no end.
        public var duration: Duration?
        /// How many connections write.
        public var connections = 4
        /// How many orders' steps one transaction may hold. At a rate, only steps that are due at once are grouped.
        public var ordersPerTransaction = 1
        /// How long a typical order lives. Without a rate nothing waits for it.
        public var orderLifetime: Duration = .seconds(10)
        /// How many orders are open at once when there is no rate.
        public var openOrders = 1_000
        /// How many customers there are.
        public var customers = 10_000
        /// Ends every history after OrderCreated: one event and one transaction an order.
        public var creationOnly = false
        /// Also plays the products, their stock and the customers, by their commands. The migrations `products`,
        /// `inventory` and `commands` are then needed.
        public var playsCatalogue = false

        public init() {}
    }

    /// The topics of what is around the orders, by the relay's own rule.
    public static let catalogueTopics = ["product-events", "inventory-events", "customer-events"]

    /// A transaction that was committed.
    public struct Commit: Sendable {
        /// What it wrote, in order.
        public let events: [OrderEvent]
        /// When COMMIT was answered, by the monotonic clock.
        public let instant: ContinuousClock.Instant
    }

    /// What was done until now.
    public struct Totals: Sendable, Hashable {
        /// Orders that were created.
        public var orders = 0
        /// Orders whose history is over.
        public var finishedOrders = 0
        /// Of orders, and of what is around them.
        public var events = 0
        public var transactions = 0
        /// Orders that ended because a rule refused a command of them. Only a load over HTTP has them.
        public var refused = 0

        public init() {}
    }

    private let configuration: Configuration
    private let database: PostgresConfiguration
    private let onCommit: (@Sendable (Commit) -> Void)?
    private let onTrouble: @Sendable (any Error) -> Void
    private let isStopping = Atomic(false)
    private let counted = Mutex(Totals())
    /// Whether the orders are played.
    private let isPlayed = Atomic(false)

    /// - Parameters:
    ///   - configuration: what to play.
    ///   - database: where; the `orders` and `outbox` migrations are there.
    ///   - onCommit: told of each transaction, by the task that wrote it: returns at once.
    ///   - onTrouble: told when the database fails and the same is tried again.
    public init(
        _ configuration: Configuration, database: PostgresConfiguration,
        onCommit: (@Sendable (Commit) -> Void)? = nil,
        onTrouble: @escaping @Sendable (any Error) -> Void = { _ in }
    ) {
        precondition(configuration.connections >= 1 && configuration.ordersPerTransaction >= 1, "nobody would write")
        self.configuration = configuration
        self.database = database
        self.onTrouble = onTrouble
        self.onCommit = onCommit
    }

    /// What was done until now; from any task.
    public var totals: Totals { counted.withLock { $0 } }

    /// Ends ``run()`` after the transactions under way; open orders stay open.
    public func stop() { isStopping.store(true, ordering: .relaxed) }

    /// Plays until all orders have ended, the duration is over, or ``stop()`` or the task's cancellation ends it.
    ///
    /// While the database is away it waits, tries again and then makes up for the time.
    ///
    /// - Returns: what was done.
    /// - Throws: `PostgresError` when the database cannot be reached at the start or refuses for good;
    ///   ``WriteConflict``; `CommandFailure` when a command of the catalogue fails for good.
    @discardableResult
    public func run() async throws -> Totals {
        let run = try await openShop()
        if configuration.playsCatalogue {
            let catalogue = try CatalogueLoad(configuration, database: database, onTrouble: onTrouble)
            let isPlayed = { @Sendable in self.isPlayed.load(ordering: .relaxed) }
            try await catalogue.playing(run: run, until: isPlayed, onCommit: { self.countCatalogue($0) }) {
                defer { self.isPlayed.store(true, ordering: .relaxed) }
                try await self.play(run)
            }
        } else {
            try await play(run)
        }
        return totals
    }

    /// Plays the orders.
    private func play(_ run: Int64) async throws {
        let customers = Customers(count: configuration.customers)
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<configuration.connections {
                group.addTask {
                    try await WriterThread().run { thread in
                        try await self.play(writer: writer, run: run, customers: customers, start: start, on: thread)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func countCatalogue(_ events: Int) {
        counted.withLock { totals in
            totals.events += events
            totals.transactions += 1
        }
    }

    /// Takes this run's number, and makes the customers, unless the catalogue registers them.
    private func openShop() async throws -> Int64 {
        try await PostgresConnection.with(database) { connection in
            if configuration.playsCatalogue {
                return try await connection.execute("SELECT nextval('load_runs')").int64(0, 0)
            }
            for first in stride(from: 1, through: configuration.customers, by: 5_000) {
                let last = min(first + 4_999, configuration.customers)
                var columns = CustomerRows()
                for number in first...last { columns.append(Customers.customer(number: number)) }
                try await connection.execute(CustomerRows.statement, columns.parameters)
            }
            return try await connection.execute("SELECT nextval('load_runs')").int64(0, 0)
        }
    }

    /// One writer's part: orders of its own, so that no aggregate ever has two writers.
    private func play(
        writer: Int, run: Int64, customers: Customers, start: ContinuousClock.Instant, on thread: PostgresThread
    ) async throws {
        var open = OpenOrders(configuration.plan(writer: writer)) { [configuration] number in
            OrderLifecycle(
                number: number, run: run, seed: configuration.seed, customers: customers,
                creationOnly: configuration.creationOnly)
        }
        var shop = ShopWriter(database, on: thread, onTrouble: onTrouble)
        while !isOver(since: start), let due = open.nextDue {
            let now = (ContinuousClock.now - start) / .seconds(1)
            var turns = open.take(at: now, limit: configuration.ordersPerTransaction)
            if turns.isEmpty {
                // Short, so that a stop is noticed.
                Self.nap(seconds: min(due - now, 0.05))
                continue
            }
            let started = turns.count { $0.order.hasNotStarted }
            var events: [OrderEvent] = []
            for index in turns.indices { events += turns[index].order.advance(at: .now) }
            guard try await shop.write(events, unless: { isOver(since: nil) }) else { break }
            count(events.count, of: turns, started: started)
            onCommit?(Commit(events: events, instant: .now))
            open.finish(turns, at: (ContinuousClock.now - start) / .seconds(1))
        }
        await shop.close()
    }

    /// Blocks the writer's own thread.
    private static func nap(seconds: Double) { Thread.sleep(forTimeInterval: seconds) }

    private func count(_ events: Int, of turns: [OpenOrders.Turn], started: Int) {
        counted.withLock { totals in
            totals.orders += started
            totals.finishedOrders += turns.count(where: \.order.isOver)
            totals.events += events
            totals.transactions += 1
        }
    }

    /// - Parameter start: when the duration began; nil to leave it out of account.
    private func isOver(since start: ContinuousClock.Instant?) -> Bool {
        if isStopping.load(ordering: .relaxed) || Task.isCancelled { return true }
        guard let start, let duration = configuration.duration else { return false }
        return ContinuousClock.now - start >= duration
    }
}

/// Runs one writer on its connection's thread: a load takes from the processors what it measures.
private actor WriterThread {
    private let thread = PostgresThread()

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.unownedExecutor }

    func run(_ body: sending (PostgresThread) async throws -> Void) async throws {
        try await body(thread)
    }
}

private struct CustomerRows {
    private var ids = TextArray(), names = TextArray(), emails = TextArray(), countries = TextArray()

    mutating func append(_ customer: Customer) {
        ids.append(customer.id)
        names.append(customer.name)
        emails.append(customer.email)
        countries.append(customer.country)
    }

    var parameters: Parameters {
        var parameters = Parameters()
        parameters.append(ids)
        parameters.append(names)
        parameters.append(emails)
        parameters.append(countries)
        return parameters
    }

    static let statement: Statement = """
        INSERT INTO customers (customer_id, name, email, country)
        SELECT * FROM unnest($1, $2, $3, $4) ON CONFLICT DO NOTHING
        """
}
