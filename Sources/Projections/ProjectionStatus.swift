public import Postgres
public import StreamCore

/// How far the projections of a database are, for operators.
public struct ProjectionStatus: Sendable, Equatable {
    /// One projection in one version.
    public struct Entry: Sendable, Equatable {
        public let name: String
        public let version: Int
        public let consumerGroup: String
        /// The next offset to apply of each partition that was ever assigned; everything below it is applied.
        public let nextOffsets: [TopicPartition: Int64]
        /// When an offset moved last; nil when none ever did.
        public let updatedAt: Timestamp?
    }

    /// By name, then version.
    public let entries: [Entry]

    /// Reads what is committed.
    ///
    /// - Throws: `PostgresError`; `undefinedTable` when the migrations of set `projections` have not run.
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

    /// The projection of this name and version; nil when it never ran here.
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

/// Whether a projection has applied everything up to given end offsets: a high watermark a partition, taken once.
public struct ProjectionCatchUp: Sendable, Equatable {
    /// For each partition the offset that must be reached.
    public let endOffsets: [TopicPartition: Int64]

    public init(endOffsets: [TopicPartition: Int64]) {
        self.endOffsets = endOffsets
    }

    /// Records still to be applied, by partition; a partition that never was assigned counts from 0.
    ///
    /// - Parameter entry: nil when the projection never ran.
    public func remaining(_ entry: ProjectionStatus.Entry?) -> [TopicPartition: Int64] {
        var remaining: [TopicPartition: Int64] = [:]
        for (partition, end) in endOffsets {
            let next = entry?.nextOffsets[partition] ?? 0
            if next < end { remaining[partition] = end - next }
        }
        return remaining
    }

    /// Nothing remains.
    public func isReached(by entry: ProjectionStatus.Entry?) -> Bool {
        remaining(entry).isEmpty
    }
}
