internal import Commands
internal import Events
internal import Logging
internal import Postgres
internal import StreamCore

/// Plays the products, stocks and customers of the orders, with the commands and rules of command-service, in the same
/// tables.
struct CatalogueLoad {
    private let configuration: ShopLoad.Configuration
    private let database: PostgresConfiguration
    private let bus: CommandBus
    private let onTrouble: @Sendable (any Error) -> Void

    /// The number of changes for each order.
    private static let changesPerOrder = 0.2
    /// Changes per second if orders have no rate.
    private static let changesWithoutRate = 50.0
    private static let interval = Duration.milliseconds(100)
    private static let atOnce = 256

    init(
        _ configuration: ShopLoad.Configuration, database: PostgresConfiguration,
        onTrouble: @escaping @Sendable (any Error) -> Void
    ) throws(CommandBusError) {
        self.configuration = configuration
        self.database = database
        self.onTrouble = onTrouble
        bus = try CommandBus(
            .load(connections: 2), postgres: database, domains: CatalogueCommand.domains,
            logger: Logger(label: "millrace.load") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Creates the products, stocks and customers that have no events yet, and then plays changes while `body` runs.
    ///
    /// - Parameters:
    ///   - run: the number of the run.
    ///   - isOver: whether `body` has ended. Changes that have begun are then completed.
    ///   - onCommit: called with the number of events after each group of changes.
    /// - Throws: the errors of `body`; `PostgresError` if the tables cannot be read; ``CommandFailure`` if a command
    ///   fails permanently.
    func playing(
        run: Int64, until isOver: @escaping @Sendable () -> Bool, onCommit: @escaping @Sendable (Int) -> Void,
        _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        let bus = bus
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await bus.run() }
            defer { bus.stop() }
            onCommit(try await open())
            try await withThrowingTaskGroup(of: Void.self) { parts in
                parts.addTask { try await change(run: run, until: isOver, onCommit: onCommit) }
                parts.addTask { try await body() }
                try await parts.waitForAll()
            }
        }
    }

    /// - Returns: the number of written events.
    private func open() async throws -> Int {
        let known = try await PostgresConnection.with(database) {
            try await KnownCatalogue.read(customers: configuration.customers, on: $0)
        }
        var changes: [[CatalogueCommand]] = []
        for (number, product) in Catalogue.standard.products.enumerated() {
            switch known.products[product.id] {
            case nil: changes.append([CataloguePlan.creation(of: product)])
            case false?: changes.append(CataloguePlan.correction(of: product))
            case true?: break
            }
            if !known.stocks.contains(product.id) { changes.append([CataloguePlan.stock(of: product, number)]) }
        }
        for number in 1...configuration.customers {
            let customer = Customers.customer(number: number)
            switch known.customers[customer.id] {
            case nil: changes.append([CataloguePlan.registration(of: customer)])
            case false?: changes.append([CataloguePlan.announcement(of: customer)])
            case true?: break
            }
        }
        return try await carryOut(changes, untilAnswered: true)
    }

    /// Plays changes until `isOver`. While the database is unavailable it waits, and skips the changes of that time.
    private func change(run: Int64, until isOver: () -> Bool, onCommit: (Int) -> Void) async throws {
        let rate =
            configuration.ordersPerSecond == 0
            ? Self.changesWithoutRate : configuration.ordersPerSecond * Self.changesPerOrder
        var plan = CataloguePlan(seed: configuration.seed, run: run, customers: configuration.customers)
        let start = ContinuousClock.now
        var played = 0
        while !isOver(), !Task.isCancelled {
            // A cancellation ends the sleep early, and then the loop.
            try? await Task.sleep(for: Self.interval)
            let due = Int((ContinuousClock.now - start) / .seconds(1) * rate) - played
            guard due > 0 else { continue }
            played += due
            onCommit(try await carryOut(plan.changes(min(due, 2_000)), untilAnswered: false))
        }
    }

    /// Carries out changes concurrently. The commands of each change are sent in order.
    ///
    /// - Parameter untilAnswered: whether a command without an answer is sent again. This is only safe for commands
    ///   that change nothing the second time.
    /// - Returns: the number of events.
    private func carryOut(_ changes: [[CatalogueCommand]], untilAnswered: Bool) async throws -> Int {
        try await withThrowingTaskGroup(of: Int.self) { group in
            var events = 0
            for (number, change) in changes.enumerated() {
                if number >= Self.atOnce { events += try await group.next() ?? 0 }
                group.addTask { try await carryOut(change, untilAnswered: untilAnswered) }
            }
            return try await group.reduce(into: events) { $0 += $1 }
        }
    }

    private func carryOut(_ change: [CatalogueCommand], untilAnswered: Bool) async throws -> Int {
        var request = CommandRequest()
        request.metadata = EventMetadata(source: "order-shop")
        var events = 0
        for command in change {
            var backoff = Backoff(initial: .milliseconds(50), ceiling: .seconds(2))
            var outcome: CommandOutcome?
            repeat {
                do throws(CommandFailure) {
                    outcome = try await command.send(to: bus, request)
                } catch {
                    guard error.isPassing, !Task.isCancelled else {
                        if Task.isCancelled { return events }
                        throw error
                    }
                    onTrouble(error)
                    if !untilAnswered { return events }
                    try? await Task.sleep(for: backoff.next())
                }
            } while outcome == nil
            guard let outcome, case .accepted = outcome.verdict else { return events }
            events += outcome.events
        }
        return events
    }
}

extension CommandFailure {
    /// Whether the failure is temporary, so that repeating the command may help.
    var isPassing: Bool {
        switch self {
        case .overloaded, .deadlineExceeded, .conflict, .unavailable, .unknownOutcome: true
        case .versionMismatch, .keyReused, .failed, .stopped, .cancelled: false
        }
    }
}

extension CommandBusConfiguration {
    /// The configuration of a load's bus.
    static func load(connections: Int) -> CommandBusConfiguration {
        var limits = CommandBusConfiguration()
        limits.connections = connections
        limits.batchLimit = 256
        limits.logLevel = .debug
        // The table also contains the answers of command-service, which deletes them itself. So the load deletes none
        // of them.
        limits.answersKeptHours = 8_760
        return limits
    }
}
