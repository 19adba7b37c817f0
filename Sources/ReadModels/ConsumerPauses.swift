public import Postgres
public import StreamCore

/// Consumers that an operator has paused: table `paused_consumers`.
public enum ConsumerPauses {
    /// One pause.
    public struct Pause: Sendable, Hashable {
        public let consumer: String
        public let since: Timestamp
        public let by: String
        public let reason: String

        public init(consumer: String, since: Timestamp, by: String, reason: String) {
            self.consumer = consumer
            self.since = since
            self.by = by
            self.reason = reason
        }
    }

    /// All pauses, by consumer.
    public static func list(on connection: PostgresConnection) async throws(PostgresError) -> [Pause] {
        let result = try await connection.execute(select)
        var pauses: [Pause] = []
        for row in 0..<result.rowCount { pauses.append(try pause(in: result, row)) }
        return pauses
    }

    static func pause(in result: QueryResult, _ row: Int) throws(PostgresError) -> Pause {
        Pause(
            consumer: try result.string(row, 0), since: try result.timestamp(row, 1), by: try result.string(row, 2),
            reason: try result.string(row, 3))
    }

    /// Pauses a consumer. Its daemons stop reading within one or two seconds.
    ///
    /// - Returns: false if the consumer was paused before. That pause stays unchanged.
    public static func pause(
        _ consumer: String, by actor: String, reason: String, on connection: PostgresConnection
    ) async throws(PostgresError) -> Bool {
        try await connection.execute(
            insert,
            Parameters {
                $0.append(consumer)
                $0.append(actor)
                $0.append(reason)
            }
        ).affectedRows == 1
    }

    /// - Returns: false if the consumer was not paused.
    public static func resume(
        _ consumer: String, on connection: PostgresConnection
    ) async throws(PostgresError) -> Bool {
        try await connection.execute(delete, Parameters { $0.append(consumer) }).affectedRows == 1
    }

    private static let select = Statement(
        "SELECT consumer, paused_at, paused_by, reason FROM paused_consumers ORDER BY consumer")
    static let selectOne = Statement(
        "SELECT consumer, paused_at, paused_by, reason FROM paused_consumers WHERE consumer = $1")
    private static let insert = Statement(
        """
        INSERT INTO paused_consumers (consumer, paused_by, reason) VALUES ($1, $2, $3)
        ON CONFLICT (consumer) DO NOTHING
        """)
    private static let delete = Statement("DELETE FROM paused_consumers WHERE consumer = $1")
}
