public import StreamCore

/// A session that connects again after it was lost, for loops that run as long as the daemon.
///
/// The loop calls ``connection()`` in each iteration and does not keep the result. Each loop has its own session.
public actor PostgresSession {
    /// A change of the connection, for the log and metrics. Each change is reported once.
    public enum Event: Sendable {
        /// A connection was made after this many failed attempts.
        case connected(failedAttempts: Int)
        /// The connection broke.
        case lost(PostgresError)
        /// An attempt failed. The next attempt follows after the delay.
        case cannotConnect(PostgresError, attempt: Int, delay: Duration)
    }

    private let configuration: PostgresConfiguration
    private let onEvent: @Sendable (Event) -> Void
    private let setUp: @Sendable (PostgresConnection) async throws(PostgresError) -> Void
    private var backoff: Backoff
    private var current: PostgresConnection?

    /// - Parameters:
    ///   - backoff: the delays between attempts to connect.
    ///   - setUp: prepares each new connection. If it fails, the attempt to connect has failed.
    ///   - onEvent: called for each event in order, on the task that waits for the connection.
    public init(
        _ configuration: PostgresConfiguration,
        backoff: Backoff = Backoff(initial: .milliseconds(50), ceiling: .seconds(5)),
        setUp: @escaping @Sendable (PostgresConnection) async throws(PostgresError) -> Void = { _ in },
        onEvent: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.backoff = backoff
        self.setUp = setUp
        self.onEvent = onEvent
    }

    /// Returns the current connection if it is alive, or else connects. Retries without limit while errors are
    /// transient.
    ///
    /// - Throws: ``PostgresError`` if retrying does not help (wrong password, no such database) or the task is
    ///   cancelled.
    public func connection() async throws(PostgresError) -> PostgresConnection {
        if let alive = await alive() { return alive }
        while true {
            do throws(PostgresError) {
                return try await connect()
            } catch {
                if error.kind != .transient || Task.isCancelled { throw error }
                let delay = backoff.next()
                onEvent(.cannotConnect(error, attempt: backoff.attempts, delay: delay))
                do {
                    try await Task.sleep(for: delay)
                } catch {
                    throw PostgresError(.cancelled, "cancelled while waiting to connect")
                }
            }
        }
    }

    /// The same with at most one attempt to connect, for loops that pause by themselves and also work without the
    /// server.
    ///
    /// - Throws: ``PostgresError`` when there is no connection and none can be made now.
    public func connectionAtOnce() async throws(PostgresError) -> PostgresConnection {
        if let alive = await alive() { return alive }
        return try await connect()
    }

    private func alive() async -> PostgresConnection? {
        guard let current else { return nil }
        if await current.isAlive() { return current }
        if self.current === current { await forget(current) }
        return nil
    }

    /// Ends the session. The next call of ``connection()`` connects again.
    public func close() async {
        await current?.close()
        current = nil
    }

    private func connect() async throws(PostgresError) -> PostgresConnection {
        let fresh = try await PostgresConnection.connect(configuration)
        do throws(PostgresError) {
            try await setUp(fresh)
        } catch {
            await fresh.close()
            throw error
        }
        onEvent(.connected(failedAttempts: backoff.attempts))
        backoff.reset()
        current = fresh
        return fresh
    }

    private func forget(_ connection: PostgresConnection) async {
        current = nil
        let reason = await connection.lossReason
        await connection.close()
        onEvent(.lost(reason ?? PostgresError(.connectionLost, "the connection is lost")))
    }
}
