internal import Postgres
internal import StreamCore

/// Plays the products, stocks and customers around the orders, over a connection of its own.
struct CatalogueLoad {
    private let configuration: ShopLoad.Configuration
    private let database: PostgresConfiguration
    private let onTrouble: @Sendable (PostgresError) -> Void

    /// Changes for each order.
    private static let changesPerOrder = 0.2
    /// Changes a second where orders have no rate.
    private static let changesWithoutRate = 50.0
    private static let interval = Duration.milliseconds(100)
    private static let batchSize = 2_000

    init(
        _ configuration: ShopLoad.Configuration, database: PostgresConfiguration,
        onTrouble: @escaping @Sendable (PostgresError) -> Void
    ) {
        self.configuration = configuration
        self.database = database
        self.onTrouble = onTrouble
    }

    /// Tells of everything that orders name, where nobody has told of it yet.
    ///
    /// - Returns: how many events were written.
    static func open(
        customers: Int, on connection: PostgresConnection
    ) async throws(PostgresError) -> Int {
        var random = SystemRandomNumberGenerator()
        var count = 0
        // A product and its stock are two aggregates.
        var batches = [CatalogueEvents.products]
        for first in stride(from: 1, through: customers, by: batchSize) {
            let last = min(first + batchSize - 1, customers)
            batches.append((first...last).map { CatalogueEvents.registration(of: $0) })
        }
        for batch in batches {
            let write = CatalogueWrite(batch, for: .new, using: &random)
            count += try await connection.execute(write.statement, write.parameters).affectedRows
        }
        return count
    }

    /// Plays changes until `isOver`. While the database is away it waits, and leaves out what was due meanwhile.
    ///
    /// - Parameter onCommit: told how many events each transaction has written.
    func run(until isOver: () -> Bool, onCommit: (Int) -> Void) async throws {
        let rate =
            configuration.ordersPerSecond == 0
            ? Self.changesWithoutRate : configuration.ordersPerSecond * Self.changesPerOrder
        let session = PostgresSession(database)
        var events = CatalogueEvents(seed: configuration.seed, customers: configuration.customers)
        var random = SystemRandomNumberGenerator()
        let start = ContinuousClock.now
        var played = 0
        while !isOver(), !Task.isCancelled {
            // Cut short by the cancellation, which ends the loop.
            try? await Task.sleep(for: Self.interval)
            let due = Int((ContinuousClock.now - start) / .seconds(1) * rate) - played
            guard due > 0 else { continue }
            played += due
            let batch = events.changes(min(due, Self.batchSize))
            do throws(PostgresError) {
                let write = CatalogueWrite(batch, for: .all, using: &random)
                let connection = try await session.connectionAtOnce()
                onCommit(try await connection.execute(write.statement, write.parameters).affectedRows)
            } catch {
                guard error.kind == .transient else { throw error }
                onTrouble(error)
            }
        }
        await session.close()
    }
}
