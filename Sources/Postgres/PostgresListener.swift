internal import Blocking
internal import Synchronization

/// A notification that another session sent with NOTIFY.
public struct PostgresNotification: Sendable, Hashable {
    /// The channel's name.
    public let channel: String
    /// The sender's text; empty if it sent none.
    public let payload: String
    /// The server process of the session that sent it.
    public let serverProcessID: Int32
}

/// Listens to channels with its own session. It is the asynchronous sequence of their notifications.
///
/// The sequence ends after ``stop()`` or when the task is cancelled. It throws when the connection is lost.
/// Notifications that are sent until the next listener is connected are lost, so the caller must then check for changes
/// itself.
public final class PostgresListener: Sendable {
    private let connection: PostgresConnection
    private let isStopped = Atomic(false)

    private init(_ connection: PostgresConnection) {
        self.connection = connection
    }

    /// Connects and listens to `channels`. Notifications that are sent from then on arrive.
    ///
    /// - Throws: ``PostgresError`` if the session cannot connect or LISTEN fails.
    public static func connect(
        _ configuration: PostgresConfiguration, channels: [String]
    ) async throws(PostgresError) -> PostgresListener {
        let connection = try await PostgresConnection.connect(configuration)
        for channel in channels {
            try await connection.execute(.unprepared("LISTEN \(SQLIdentifier.quoted(channel))"))
        }
        return PostgresListener(connection)
    }

    /// Ends the sequence soon and permanently. The connection is closed when the sequence has ended.
    public func stop() {
        isStopped.store(true, ordering: .releasing)
        connection.wakeup.signal()
    }

    /// Calls `body` for all notifications, on the thread of the session. If a notification wakes a task, this needs one
    /// change of thread less than the sequence. Use either this method or the sequence.
    ///
    /// - Parameter body: receives the notifications that have arrived together. It must not block.
    /// - Throws: ``PostgresError`` when the connection is lost. It returns after ``stop()`` or a cancellation.
    public func run(_ body: @escaping @Sendable ([PostgresNotification]) -> Void) async throws(PostgresError) {
        try await connection.passNotifications(to: body) { [self] in isStopped.load(ordering: .acquiring) }
    }

    /// The next notifications, at least one; none if the sequence has ended.
    fileprivate func next() async throws(PostgresError) -> [PostgresNotification] {
        let arrived = try await connection.waitForNotifications { [self] in isStopped.load(ordering: .acquiring) }
        if arrived.isEmpty { await connection.close() }
        return arrived
    }
}

extension PostgresListener: AsyncSequence {
    public typealias Element = PostgresNotification
    public typealias Failure = PostgresError

    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let listener: PostgresListener
        private var arrived: ArraySlice<PostgresNotification> = []
        private var isOver = false

        fileprivate init(_ listener: PostgresListener) {
            self.listener = listener
        }

        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(PostgresError) -> PostgresNotification? {
            if arrived.isEmpty && !isOver {
                arrived = try await listener.next()[...]
                isOver = arrived.isEmpty
            }
            return arrived.popFirst()
        }
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(self)
    }
}
