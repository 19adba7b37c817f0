public import Postgres
public import StreamCore

/// Operators' decisions about single events of a consumer, for all its versions, from the table `event_decisions`. A
/// version that reads such an event for the first time skips it or applies the corrected value instead.
public struct EventDecisions: Sendable {
    /// The decision about one event.
    public enum Decision: Sendable, Hashable {
        case discarded
        case corrected([UInt8])
    }

    private struct Entry: Sendable {
        let timestampMs: Int64?
        let decision: Decision
    }

    private var entries: [TopicPartition: [Int64: [Entry]]] = [:]
    /// The number of decisions.
    public private(set) var count = 0

    public init() {}

    /// Reads all decisions about a consumer's events.
    ///
    /// - Throws: `PostgresError`.
    public static func load(
        of consumer: String, on connection: PostgresConnection
    ) async throws(PostgresError) -> EventDecisions {
        try EventDecisions(try await connection.execute(select, Parameters { $0.append(consumer) }))
    }

    /// Reads them as a transaction sees them.
    ///
    /// - Throws: `PostgresError`.
    public static func load(
        of consumer: String, in transaction: PostgresTransaction
    ) async throws(PostgresError) -> EventDecisions {
        try EventDecisions(try await transaction.execute(select, Parameters { $0.append(consumer) }))
    }

    private init(_ rows: QueryResult) throws(PostgresError) {
        var decisions = EventDecisions()
        for row in 0..<rows.rowCount {
            let partition = TopicPartition(topic: try rows.string(row, 0), partition: try rows.int32(row, 1))
            let decision: Decision =
                rows.isNull(row, 4) ? .discarded : .corrected([UInt8](copying: rows.bytes(row, 4)))
            decisions.add(
                decision, about: partition, offset: try rows.int64(row, 2),
                timestampMs: try rows.optionalInt64(row, 3))
        }
        self = decisions
    }

    mutating func add(_ decision: Decision, about partition: TopicPartition, offset: Int64, timestampMs: Int64?) {
        entries[partition, default: [:]][offset, default: []].append(
            Entry(timestampMs: timestampMs, decision: decision))
        count += 1
    }

    /// The decision about a record; nil if there is none. If one of the timestamps is unknown, only the offset is
    /// compared.
    ///
    /// - Parameter timestampMs: the record's timestamp in milliseconds since 1970.
    public func decision(on partition: TopicPartition, offset: Int64, timestampMs: Int64?) -> Decision? {
        entries[partition]?[offset]?.first { entry in
            entry.timestampMs == nil || timestampMs == nil || entry.timestampMs == timestampMs
        }?.decision
    }

    private static let select = Statement(
        """
        SELECT topic, partition, record_offset, record_timestamp, corrected_value FROM event_decisions
        WHERE consumer = $1
        """)
}
