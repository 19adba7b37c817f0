public import Events
internal import Foundation
public import Orders
public import Postgres
internal import StreamCore
internal import Synchronization

/// Plays an order shop against a database. Many orders are open at once. Each step of an order is a transaction that
/// changes the write model and inserts the events into the outbox.
///
/// ```
/// let load = ShopLoad(configuration, database: database)
/// let totals = try await load.run()
/// ```
public final class ShopLoad: PlayedShop {
    /// The settings of a load.
    public struct Configuration: Sendable {
        /// The seed. The same seed results in the same orders.
        public var seed: UInt64 = 1
        /// New orders per second; 0 for as many as the database can write.
        public var ordersPerSecond = 50.0
        /// The number of orders to play; nil for no limit.
        public var orders: Int?
        /// The duration of the load; nil for no limit. Orders that are open at its end stay open.
        public var duration: Duration?
        /// The number of connections that write.
        public var connections = 4
        /// Maximum number of orders with a step in one transaction. With a rate, only steps that are due at the same
        /// time are grouped.
        public var ordersPerTransaction = 1
        /// The duration of a typical order's life. Without a rate, no step waits for it.
        public var orderLifetime: Duration = .seconds(10)
        /// The number of open orders if there is no rate.
        public var openOrders = 1_000
        /// The number of customers.
        public var customers = 10_000
        /// Ends every history after OrderCreated, so that an order has one event and one transaction.
        public var creationOnly = false
        /// Also plays the products, their stock and the customers, with their commands. This needs the migration sets
        /// `products`, `inventory` and `commands`.
        public var playsCatalogue = false

        public init() {}
    }

    /// The topics of products, stock and customers, named by the rule of the relay.
    public static let catalogueTopics = ["product-events", "inventory-events", "customer-events"]

    /// A committed transaction.
    public struct Commit: Sendable {
        /// The events that it wrote, in order.
        public let events: [OrderEvent]
        /// The time of the answer to COMMIT, by the monotonic clock.
        public let instant: ContinuousClock.Instant
    }

    /// The progress of a load.
    public struct Totals: Sendable, Hashable {
        /// The number of created orders.
        public var orders = 0
        /// The number of orders whose history has ended.
        public var finishedOrders = 0
        /// The number of events of orders, products, stock and customers.
        public var events = 0
        public var transactions = 0
        /// The number of orders that ended because a rule refused a command. Only a load over HTTP has them.
        public var refused = 0

        public init() {}
    }

    private let configuration: Configuration
    private let database: PostgresConfiguration
    private let onCommit: (@Sendable (Commit) -> Void)?
    private let onTrouble: @Sendable (any Error) -> Void
    private let isStopping = Atomic(false)
    private let counted = Mutex(Totals())
    /// Whether all orders have been played.
    private let isPlayed = Atomic(false)

    /// - Parameters:
    ///   - configuration: the settings.
    ///   - database: the database, with the migration sets `orders` and `outbox`.
    ///   - onCommit: called after each transaction on the task that wrote it. It must return at once.
    ///   - onTrouble: called when a transaction fails and is repeated.
    public init(
        _ configuration: Configuration, database: PostgresConfiguration,
        onCommit: (@Sendable (Commit) -> Void)? = nil,
        onTrouble: @escaping @Sendable (any Error) -> Void = { _ in }
    ) {
        precondition(
            configuration.connections >= 1 && configuration.ordersPerTransaction >= 1,
            "connections and ordersPerTransaction must be at least 1")
        self.configuration = configuration
        self.database = database
        self.onTrouble = onTrouble
        self.onCommit = onCommit
    }

    /// The progress. It can be read from any task.
    public var totals: Totals { counted.withLock { $0 } }

    /// Ends ``run()`` after the current transactions. Open orders stay open.
    public func stop() { isStopping.store(true, ordering: .relaxed) }

    /// Plays until all orders have ended, the duration is over, ``stop()`` is called, or the task is cancelled.
    ///
    /// While the database is unavailable, it retries, and later catches up with the rate.
    ///
    /// - Returns: the totals.
    /// - Throws: `PostgresError` if the database cannot be reached at the start or has a permanent error;
    ///   ``WriteConflict``; `CommandFailure` if a command of the catalogue fails permanently.
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

    /// Assigns the number of this run. Inserts the customers, unless the catalogue registers them.
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

    /// The work of one writer. It has its own orders, so each aggregate has only one writer.
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
                // The sleep is short, so that the writer notices a stop.
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

    /// - Parameter start: the time when the duration began; nil to ignore the duration.
    private func isOver(since start: ContinuousClock.Instant?) -> Bool {
        if isStopping.load(ordering: .relaxed) || Task.isCancelled { return true }
        guard let start, let duration = configuration.duration else { return false }
        return ContinuousClock.now - start >= duration
    }
}

/// Runs one writer on its connection's thread, because the load should use little processor time on the machine that it
/// measures.
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
