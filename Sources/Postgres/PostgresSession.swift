public import StreamCore

/// A session that is made anew when it is lost: for loops that live as long as the daemon.
///
/// The loop asks for ``connection()`` at each turn and does not keep it. One loop per session.
public actor PostgresSession {
    /// What becomes of the connection, for log and metrics: each change once.
    public enum Event: Sendable {
        /// A connection was made, after so many failed attempts.
        case connected(failedAttempts: Int)
        /// The connection broke.
        case lost(PostgresError)
        /// An attempt failed; the next one follows after the delay.
        case cannotConnect(PostgresError, attempt: Int, delay: Duration)
    }

    private let configuration: PostgresConfiguration
    private let onEvent: @Sendable (Event) -> Void
    private let setUp: @Sendable (PostgresConnection) async throws(PostgresError) -> Void
    private var backoff: Backoff
    private var current: PostgresConnection?

    /// - Parameters:
    ///   - backoff: the delays between attempts to connect.
    ///   - setUp: what each new connection gets first; its failure is a failure to connect.
    ///   - onEvent: called in order, on the task that waits for the connection.
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

    /// A live connection: the one at hand, or a new one, for which it waits as long as it takes.
    ///
    /// - Throws: ``PostgresError`` when waiting does not help (wrong password, no such database) or the task is
    ///   cancelled.
    public func connection() async throws(PostgresError) -> PostgresConnection {
        if let current {
            if await current.isAlive() { return current }
            if self.current === current { await forget(current) }
        }
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

    /// Ends the session; the next ``connection()`` is a new one.
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
