internal import Events
internal import Orders
internal import Postgres
internal import StreamCore

/// Another writer changed an aggregate in between: the optimistic check of its version failed.
public struct WriteConflict: Error, CustomStringConvertible {
    /// The table with the unexpected version.
    public let table: String

    public var description: String {
        "\(table) was changed by another session; check that no other load writes the same orders"
    }
}

/// Writes the shop's events, one transaction a call, over a connection of its own that it opens again when it breaks.
struct ShopWriter {
    private let configuration: PostgresConfiguration
    private let thread: PostgresThread
    private var connection: PostgresConnection?
    private var backoff = Backoff(initial: .milliseconds(50), ceiling: .seconds(2))
    private let onTrouble: @Sendable (PostgresError) -> Void

    /// - Parameters:
    ///   - thread: the connection's.
    ///   - onTrouble: told of each failure after which the same is tried again.
    init(
        _ configuration: PostgresConfiguration, on thread: PostgresThread,
        onTrouble: @escaping @Sendable (PostgresError) -> Void
    ) {
        self.configuration = configuration
        self.thread = thread
        self.onTrouble = onTrouble
    }

    /// Writes `events` in one transaction, as often as it takes.
    ///
    /// A transaction whose outcome is not known is looked up before it is tried again: the events' ids say whether it
    /// was committed. So nothing is written twice, and nothing is given up while the database is away.
    ///
    /// - Parameters:
    ///   - events: in order, at most one of each aggregate.
    ///   - isStopped: asked between attempts.
    /// - Returns: whether the events are written; false only when it was stopped.
    /// - Throws: ``WriteConflict``; `PostgresError` when trying again cannot help.
    mutating func write(_ events: [OrderEvent], unless isStopped: () -> Bool) async throws -> Bool {
        let writes = ShopStatements(events).writes
        var mayBeWritten = false
        while !isStopped() {
            do {
                let connection = try await open()
                if mayBeWritten, try await Self.isWritten(events[0], connection) { return true }
                try await Self.commit(writes, connection)
                backoff.reset()
                return true
            } catch let error as TransactionError where error.kind == .transient {
                if case .unknownOutcome = error { mayBeWritten = true }
                onTrouble(error.cause)
            } catch let error as PostgresError where error.kind == .transient {
                onTrouble(error)
            } catch {
                // The server may have ended the lost session's COMMIT only after we had looked.
                guard mayBeWritten, let connection, try await Self.isWritten(events[0], connection) else {
                    throw error
                }
                return true
            }
            if Task.isCancelled { return false }
            if let connection, await !connection.isOpen { self.connection = nil }
            do { try await Task.sleep(for: backoff.next()) } catch { return false }
        }
        return false
    }

    private static func commit(_ writes: [ShopStatements.Write], _ connection: PostgresConnection) async throws {
        try await connection.withTransaction { transaction in
            let results = try await transaction.pipeline(writes.map { ($0.statement, $0.parameters) })
            for (write, result) in zip(writes, results) where result.affectedRows != write.expectedRows {
                throw WriteConflict(table: write.table)
            }
        }
    }

    /// Whether the transaction with this event was committed: its aggregate then has reached the event's sequence.
    private static func isWritten(_ event: OrderEvent, _ connection: PostgresConnection) async throws -> Bool {
        let statement: Statement =
            switch event.aggregateType {
            case .order: "SELECT 1 FROM orders WHERE order_id = $1 AND last_event_id = $2"
            case .payment: "SELECT 1 FROM payments WHERE payment_id = $1 AND last_event_id = $2"
            case .shipment: "SELECT 1 FROM shipments WHERE shipment_id = $1 AND last_event_id = $2"
            }
        var parameters = Parameters()
        parameters.append(event.identity.aggregateID)
        parameters.append(event.identity.eventID)
        return try await connection.execute(statement, parameters).rowCount == 1
    }

    private mutating func open() async throws(PostgresError) -> PostgresConnection {
        if let connection { return connection }
        let opened = try await PostgresConnection.connect(configuration, on: thread)
        connection = opened
        return opened
    }

    /// Ends the session.
    func close() async {
        await connection?.close()
    }
}
