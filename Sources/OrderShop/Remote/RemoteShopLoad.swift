internal import Orders
internal import StreamCore
internal import Synchronization

/// Plays an order shop over HTTP against command-service: the same orders, payments and parcels as ``ShopLoad`` writes
/// into the tables. Customers and products are created when an order first names them.
public final class RemoteShopLoad: PlayedShop {
    private let configuration: ShopLoad.Configuration
    private let client: CommandServiceClient
    private let names: RemoteNames
    private let isStopping = Atomic(false)
    private let counted = Mutex(ShopLoad.Totals())

    /// - Parameters:
    ///   - configuration: the settings. Each connection sends one request at a time.
    ///   - client: the client of the service. The caller shuts it down.
    public init(_ configuration: ShopLoad.Configuration, client: CommandServiceClient) {
        precondition(configuration.connections >= 1, "connections must be at least 1")
        self.configuration = configuration
        self.client = client
        names = RemoteNames(client)
    }

    public var totals: ShopLoad.Totals { counted.withLock { $0 } }

    public func stop() { isStopping.store(true, ordering: .relaxed) }

    /// Plays until all orders have ended, the duration is over, ``stop()`` is called, or the task is cancelled. An
    /// order also ends if a rule refuses one of its commands.
    ///
    /// - Throws: ``CommandServiceClient/Failure`` if the service cannot be reached at the start or rejects the
    ///   requests.
    @discardableResult
    public func run() async throws -> ShopLoad.Totals {
        try await client.check()
        // Distinguishes the ids and keys of this run from those of other runs.
        let run = Timestamp.now.microseconds
        let customers = Customers(count: configuration.customers)
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<configuration.connections {
                group.addTask { try await self.play(writer, run, customers, since: start) }
            }
            try await group.waitForAll()
        }
        return totals
    }

    /// The work of one sender. It has its own orders and plays their steps one after the other.
    private func play(
        _ writer: Int, _ run: Int64, _ customers: Customers, since start: ContinuousClock.Instant
    ) async throws {
        var open = OpenOrders(configuration.plan(writer: writer)) { [configuration] number in
            OrderLifecycle(
                number: number, run: run, seed: configuration.seed, customers: customers,
                creationOnly: configuration.creationOnly)
        }
        var remote: [String: RemoteOrder] = [:]
        while !isOver(since: start), let due = open.nextDue {
            let now = (ContinuousClock.now - start) / .seconds(1)
            var turns = open.take(at: now, limit: 1)
            if turns.isEmpty {
                // The sleep is short, so that it notices a stop.
                try? await Task.sleep(for: .seconds(min(due - now, 0.05)))
                continue
            }
            let isNew = turns[0].order.hasNotStarted
            let id = turns[0].order.orderID
            var order = remote[id] ?? RemoteOrder()
            order.add(turns[0].order.advance(at: .now))
            switch try await send(&order, since: start) {
            case .played: count { $0.orders += isNew ? 1 : 0 }
            case .refused:
                turns[0].order.abandon()
                count { $0.refused += 1 }
            case .stopped: return
            }
            let isOver = turns[0].order.isOver
            remote[id] = isOver ? nil : order
            if isOver { count { $0.finishedOrders += 1 } }
            open.finish(turns, at: (ContinuousClock.now - start) / .seconds(1))
        }
    }

    private enum Step {
        case played, refused, stopped
    }

    /// Sends the requests of a step, one after the other.
    private func send(_ order: inout RemoteOrder, since start: ContinuousClock.Instant) async throws -> Step {
        let isStopped = { self.isOver(since: start) }
        while true {
            var names: RemoteOrder.Names = ("", [:])
            if let wanted = order.wanted {
                if let id = wanted.customer {
                    guard let name = try await self.names.customer(id, unless: isStopped) else { return .stopped }
                    names.customer = name
                }
                for id in wanted.products {
                    guard let name = try await self.names.product(id, unless: isStopped) else { return .stopped }
                    names.products[id] = name
                }
            }
            guard let command = order.next(names) else { return .played }
            switch try await client.send(command, unless: isStopped) {
            case .accepted(let id):
                order.accepted(id)
                count { totals in
                    totals.events += 1
                    totals.transactions += 1
                }
            case .refused: return .refused
            case .absent:
                throw CommandServiceClient.Failure(
                    code: .refused,
                    description: "the service does not have \(command.path): check its setting [commands] domains")
            case .stopped: return .stopped
            }
        }
    }

    private func count(_ body: (inout ShopLoad.Totals) -> Void) { counted.withLock { body(&$0) } }

    private func isOver(since start: ContinuousClock.Instant) -> Bool {
        if isStopping.load(ordering: .relaxed) || Task.isCancelled { return true }
        return configuration.duration.map { ContinuousClock.now - start >= $0 } ?? false
    }
}

/// A load of a shop, which writes into the database or sends requests.
public protocol PlayedShop: Sendable {
    /// The progress. It can be read from any task.
    var totals: ShopLoad.Totals { get }
    /// Ends ``run()`` after the current transactions or requests.
    func stop()
    /// Plays until the load ends.
    func run() async throws -> ShopLoad.Totals
}

extension ShopLoad.Configuration {
    /// The orders of one writer.
    func plan(writer: Int) -> OpenOrders.Plan {
        OpenOrders.Plan(
            pacer: LoadPacer(
                ordersPerSecond: ordersPerSecond / Double(connections), phase: Double(writer) / Double(connections)),
            first: writer, stride: connections, count: orders.map { ($0 - writer + connections - 1) / connections },
            window: max(1, openOrders / connections), lifetimeSeconds: orderLifetime / .seconds(1))
    }
}
