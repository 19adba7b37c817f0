public import Postgres
public import StreamCore

/// The operations on circuit breakers for operators: table `circuit_breakers`.
///
/// A runner reads its partition's counts at each trial, so a release takes effect then. The next records of the
/// partition count from zero.
public struct OpenCircuitBreakers: Sendable {
    /// A count that opened a circuit breaker. A partition may have several.
    public struct Entry: Sendable, Equatable {
        public let projection: String
        public let version: Int
        public let partition: TopicPartition
        /// Empty, like ``eventType``, if any events failed in a row.
        public let errorClass: String
        public let eventType: String
        /// The number of events that were parked since one of the type was applied.
        public let failures: Int
        public let openedAt: Timestamp
    }

    /// Selects circuit breakers. A value of nil matches all.
    public struct Filter: Sendable {
        public var projection: String?
        public var version: Int?
        public var topic: String?
        public var partition: Int32?
        public var errorClass: String?
        public var eventType: String?

        public init() {}
    }

    public init() {}

    /// The open circuit breakers, ordered by projection and partition.
    ///
    /// - Throws: `PostgresError`; `undefinedTable` if the migrations of set `projections` are not applied.
    public func list(
        _ filter: Filter = Filter(), on connection: PostgresConnection
    ) async throws(PostgresError) -> [Entry] {
        try Self.entries(try await connection.execute(Self.select, Self.parameters(filter)))
    }

    /// Deletes the matching counts, and records who did it and why.
    ///
    /// - Returns: the released counts.
    /// - Throws: `PostgresError`. Nothing was released then.
    public func release(
        _ filter: Filter, by audit: Audit, on connection: PostgresConnection
    ) async throws(PostgresError) -> [Entry] {
        var parameters = Self.parameters(filter)
        parameters.append(audit.actor)
        parameters.append(audit.reason)
        return try Self.entries(try await connection.execute(Self.delete, parameters))
    }

    private static func parameters(_ filter: Filter) -> Parameters {
        Parameters {
            $0.append(filter.projection)
            $0.append(filter.version.map { Int32(clamping: $0) })
            $0.append(filter.topic)
            $0.append(filter.partition)
            $0.append(filter.errorClass)
            $0.append(filter.eventType)
        }
    }

    private static func entries(_ result: QueryResult) throws(PostgresError) -> [Entry] {
        var entries: [Entry] = []
        for row in 0..<result.rowCount {
            entries.append(
                Entry(
                    projection: try result.string(row, 0), version: Int(try result.int32(row, 1)),
                    partition: TopicPartition(topic: try result.string(row, 2), partition: try result.int32(row, 3)),
                    errorClass: try result.string(row, 4), eventType: try result.string(row, 5),
                    failures: Int(try result.int32(row, 6)), openedAt: try result.timestamp(row, 7)))
        }
        return entries
    }

    private static let matching = """
        FROM circuit_breakers AS b JOIN projections AS p ON p.id = b.projection_id
        WHERE b.opened_at IS NOT NULL AND ($1 IS NULL OR p.name = $1) AND ($2 IS NULL OR p.version = $2)
            AND ($3 IS NULL OR b.topic = $3) AND ($4 IS NULL OR b.partition = $4)
            AND ($5 IS NULL OR b.error_class = $5) AND ($6 IS NULL OR b.event_type = $6)
        """
    private static let select = Statement(
        """
        SELECT p.name, p.version, b.topic, b.partition, b.error_class, b.event_type, b.failures, b.opened_at
        \(matching)
        ORDER BY p.name, p.version, b.topic, b.partition, b.event_type, b.error_class
        """)
    private static let delete = Statement(
        """
        WITH chosen AS (
            SELECT b.projection_id, p.name, p.version, b.topic, b.partition, b.error_class, b.event_type
            \(matching)
            ORDER BY b.projection_id, b.topic, b.partition, b.event_type, b.error_class
            FOR UPDATE OF b
        ), deleted AS (
            DELETE FROM circuit_breakers AS b USING chosen AS c
            WHERE (b.projection_id, b.topic, b.partition, b.error_class, b.event_type)
                = (c.projection_id, c.topic, c.partition, c.error_class, c.event_type)
            RETURNING b.projection_id, c.name, c.version, b.topic, b.partition, b.error_class, b.event_type, b.failures,
                b.opened_at
        ), noted AS (
            INSERT INTO circuit_breaker_releases
                (projection_id, topic, partition, error_class, event_type, failures, opened_at, released_by, reason)
            SELECT projection_id, topic, partition, error_class, event_type, failures, opened_at, $7, $8 FROM deleted
        )
        SELECT name, version, topic, partition, error_class, event_type, failures, opened_at FROM deleted
        ORDER BY name, version, topic, partition, event_type, error_class
        """)
}
