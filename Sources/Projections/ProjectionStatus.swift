public import Postgres
public import StreamCore

/// The progress of the projections of a database, for operators.
public struct ProjectionStatus: Sendable, Equatable {
    /// One projection in one version.
    public struct Entry: Sendable, Equatable {
        public let name: String
        public let version: Int
        public let consumerGroup: String
        /// The next offset to apply of each partition that was ever assigned. All lower offsets are applied.
        public let nextOffsets: [TopicPartition: Int64]
        /// The time of the last progress; nil if there was none.
        public let updatedAt: Timestamp?
    }

    /// The projections, ordered by name and version.
    public let entries: [Entry]

    /// Reads the committed state.
    ///
    /// - Throws: `PostgresError`; `undefinedTable` if the migration set `projections` is not applied.
    public static func load(_ connection: PostgresConnection) async throws(PostgresError) -> ProjectionStatus {
        let result = try await connection.execute(select)
        var entries: [Entry] = []
        var row = 0
        while row < result.rowCount {
            let id = try result.int32(row, 0)
            let first = row
            var offsets: [TopicPartition: Int64] = [:]
            var updatedAt: Timestamp?
            while row < result.rowCount, try result.int32(row, 0) == id {
                if let topic = try result.optionalString(row, 4) {
                    let partition = TopicPartition(topic: topic, partition: try result.int32(row, 5))
                    offsets[partition] = try result.int64(row, 6)
                    updatedAt = max(updatedAt ?? Timestamp(microseconds: .min), try result.timestamp(row, 7))
                }
                row += 1
            }
            entries.append(
                Entry(
                    name: try result.string(first, 1), version: Int(try result.int32(first, 2)),
                    consumerGroup: try result.string(first, 3), nextOffsets: offsets, updatedAt: updatedAt))
        }
        return ProjectionStatus(entries: entries)
    }

    /// The projection with this name and version; nil if it never ran here.
    public func entry(name: String, version: Int) -> Entry? {
        entries.first { $0.name == name && $0.version == version }
    }

    private static let select = Statement(
        """
        SELECT p.id, p.name, p.version, p.consumer_group, o.topic, o.partition, o.next_offset, o.updated_at
        FROM projections AS p LEFT JOIN projection_offsets AS o ON o.projection_id = p.id
        ORDER BY p.name, p.version, o.topic, o.partition
        """)
}

/// Checks whether a projection has applied everything up to given end offsets.
public struct ProjectionCatchUp: Sendable, Equatable {
    /// The offset to reach in each partition.
    public let endOffsets: [TopicPartition: Int64]

    public init(endOffsets: [TopicPartition: Int64]) {
        self.endOffsets = endOffsets
    }

    /// The number of records to apply in each partition. A partition that was never assigned counts from 0.
    ///
    /// - Parameter entry: the projection's progress; nil if it never ran.
    public func remaining(_ entry: ProjectionStatus.Entry?) -> [TopicPartition: Int64] {
        var remaining: [TopicPartition: Int64] = [:]
        for (partition, end) in endOffsets {
            let next = entry?.nextOffsets[partition] ?? 0
            if next < end { remaining[partition] = end - next }
        }
        return remaining
    }

    /// Whether no record remains.
    public func isReached(by entry: ProjectionStatus.Entry?) -> Bool {
        remaining(entry).isEmpty
    }
}
