internal import Events
internal import Orders
internal import Postgres
internal import StreamCore

/// Another writer changed an aggregate since it was read, so the optimistic check of its version failed.
public struct WriteConflict: Error, CustomStringConvertible {
    /// The table with the unexpected version.
    public let table: String

    public var description: String {
        "\(table) was changed by another session; check that no other load writes the same orders"
    }
}

/// Writes the shop's events in one transaction per call. It has its own connection, which it opens again after a
/// failure.
struct ShopWriter {
    private let configuration: PostgresConfiguration
    private let thread: PostgresThread
    private var connection: PostgresConnection?
    private var backoff = Backoff(initial: .milliseconds(50), ceiling: .seconds(2))
    private let onTrouble: @Sendable (PostgresError) -> Void

    /// - Parameters:
    ///   - thread: the thread of the connection.
    ///   - onTrouble: called after each failure before the write is repeated.
    init(
        _ configuration: PostgresConfiguration, on thread: PostgresThread,
        onTrouble: @escaping @Sendable (PostgresError) -> Void
    ) {
        self.configuration = configuration
        self.thread = thread
        self.onTrouble = onTrouble
    }

    /// Writes `events` in one transaction, and repeats it until it is committed.
    ///
    /// If the result of a transaction is unknown, it first checks whether the events are stored, and repeats the
    /// transaction only if they are not. So it writes nothing twice, and loses nothing while the database is
    /// unavailable.
    ///
    /// - Parameters:
    ///   - events: the events in order, at most one for each aggregate.
    ///   - isStopped: called before each attempt.
    /// - Returns: whether the events were written; false only if it was stopped.
    /// - Throws: ``WriteConflict``; `PostgresError` for a permanent error.
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
                // The server may have committed the lost session's transaction after the check above.
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

    /// Whether the transaction with this event was committed. In that case the event is the last one of its aggregate.
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
