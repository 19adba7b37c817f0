internal import Postgres
internal import StreamCore

/// The statements on a projection's identity and its offsets: tables `projections` and `projection_offsets`.
struct OffsetTable: Sendable {
    /// `projections.id`.
    let projectionID: Int16

    // MARK: identity

    /// Finds or creates the projection's row and its partition of `processed_events`.
    static func register(
        name: String, version: Int, consumerGroup: String, on connection: PostgresConnection
    ) async throws -> OffsetTable {
        let projectionID = try await connection.withTransaction { transaction in
            let found = try await find(name, version, in: transaction)
            if let found { return found }
            try await transaction.execute(
                insertProjection,
                Parameters {
                    $0.append(name)
                    $0.append(Int32(version))
                    $0.append(consumerGroup)
                })
            guard let made = try await find(name, version, in: transaction) else {
                throw PostgresError(.usage, "the projection's row was deleted at once")
            }
            return made
        }
        try await ProcessedEventDays(projectionID: projectionID).makeRoot(on: connection)
        return OffsetTable(projectionID: projectionID)
    }

    private static func find(
        _ name: String, _ version: Int, in transaction: PostgresTransaction
    ) async throws -> Int16? {
        let result = try await transaction.execute(
            selectProjection,
            Parameters {
                $0.append(name)
                $0.append(Int32(version))
            })
        return result.rowCount == 0 ? nil : Int16(truncatingIfNeeded: try result.int32(0, 0))
    }

    private static let selectProjection = Statement("SELECT id FROM projections WHERE name = $1 AND version = $2")
    private static let insertProjection = Statement(
        """
        INSERT INTO projections (name, version, consumer_group) VALUES ($1, $2, $3)
        ON CONFLICT (name, version) DO NOTHING
        """)

    // MARK: offsets

    /// The next offsets of these partitions, and the marks of the last records before them. A new partition begins at
    /// 0.
    func load(
        _ partitions: [TopicPartition], on connection: PostgresConnection
    ) async throws -> [TopicPartition: StoredPosition] {
        let parameters = key(partitions)
        let results = try await connection.pipeline([(Self.insertMissing, parameters), (Self.selectMarked, parameters)])
        let found = results[1]
        var positions: [TopicPartition: StoredPosition] = [:]
        for row in 0..<found.rowCount {
            let partition = TopicPartition(topic: try found.string(row, 0), partition: try found.int32(row, 1))
            var position = StoredPosition(next: try found.int64(row, 2))
            if let offset = try found.optionalInt64(row, 3) {
                position.mark = RecordMark(offset: offset, digest: try found.int64(row, 4))
            }
            positions[partition] = position
        }
        return positions
    }

    /// The statement for the next offsets of these partitions, without new ones. ``offsets(in:)`` reads the result.
    func peek(_ partitions: [TopicPartition]) -> (Statement, Parameters) { (Self.select, key(partitions)) }

    /// The next offsets after the end of every transaction that is changing them, including one whose connection was
    /// lost.
    func settled(
        _ partitions: [TopicPartition], on connection: PostgresConnection
    ) async throws -> [TopicPartition: Int64] {
        try Self.offsets(in: try await connection.execute(Self.selectSettled, key(partitions)))
    }

    /// The statement that moves the offsets of the partitions whose offsets have the expected values. `affectedRows` is
    /// the number of moved partitions. The rows stay locked until the transaction ends, so a second owner waits here
    /// and then fails.
    ///
    /// A move without a mark keeps the stored mark, which is still below the next offset, unless the move goes back.
    func move(_ moves: [OffsetMove]) -> (Statement, Parameters) { (Self.update, parameters(moves)) }

    /// Like ``move(_:)``, but the statement fails if it does not move all of the partitions.
    func require(_ moves: [OffsetMove]) -> (Statement, Parameters) { (Self.require, parameters(moves)) }

    private func parameters(_ moves: [OffsetMove]) -> Parameters {
        var topics = TextArray()
        var numbers = Int32Array()
        var expected = Int64Array()
        var next = Int64Array()
        var markOffsets = Int64Array()
        var markDigests = Int64Array()
        for move in moves {
            topics.append(move.partition.topic)
            numbers.append(move.partition.partition)
            expected.append(move.expected)
            next.append(move.next)
            markOffsets.append(move.mark?.offset)
            markDigests.append(move.mark?.digest)
        }
        return Parameters {
            $0.append(projectionID)
            $0.append(topics)
            $0.append(numbers)
            $0.append(expected)
            $0.append(next)
            $0.append(markOffsets)
            $0.append(markDigests)
        }
    }

    private func key(_ partitions: [TopicPartition]) -> Parameters {
        var topics = TextArray()
        var numbers = Int32Array()
        for partition in partitions {
            topics.append(partition.topic)
            numbers.append(partition.partition)
        }
        return Parameters {
            $0.append(projectionID)
            $0.append(topics)
            $0.append(numbers)
        }
    }

    static func offsets(in result: QueryResult) throws -> [TopicPartition: Int64] {
        var offsets: [TopicPartition: Int64] = [:]
        for row in 0..<result.rowCount {
            let partition = TopicPartition(topic: try result.string(row, 0), partition: try result.int32(row, 1))
            offsets[partition] = try result.int64(row, 2)
        }
        return offsets
    }

    private static let insertMissing = Statement(
        """
        INSERT INTO projection_offsets (projection_id, topic, partition, next_offset)
        SELECT $1, topic, partition, 0 FROM unnest($2, $3) AS wanted (topic, partition)
        ORDER BY topic, partition
        ON CONFLICT DO NOTHING
        """)
    private static let select = Statement(
        """
        SELECT topic, partition, next_offset FROM projection_offsets
        JOIN unnest($2, $3) AS wanted (topic, partition) USING (topic, partition)
        WHERE projection_id = $1
        """)
    private static let selectMarked = Statement(
        """
        SELECT topic, partition, next_offset, mark_offset, mark_digest FROM projection_offsets
        JOIN unnest($2, $3) AS wanted (topic, partition) USING (topic, partition)
        WHERE projection_id = $1
        """)
    private static let selectSettled = Statement(
        """
        SELECT o.topic, o.partition, o.next_offset FROM projection_offsets AS o
        WHERE o.projection_id = $1
            AND (o.topic, o.partition) IN (SELECT topic, partition FROM unnest($2, $3) AS wanted (topic, partition))
        ORDER BY o.topic, o.partition
        FOR NO KEY UPDATE OF o
        """)
    private static let update = Statement(updating)
    /// The text of the error shows in the server's log.
    private static let require = Statement(
        """
        WITH moved AS (\(updating) RETURNING 1)
        SELECT CASE WHEN count(*) = cardinality($2) THEN 0
            ELSE (count(*) || ' of ' || cardinality($2) || ' offsets are as expected')::integer END
        FROM moved
        """)
    private static let updating = """
        UPDATE projection_offsets AS o
        SET next_offset = moves.next, updated_at = clock_timestamp(),
            mark_offset = CASE
                WHEN moves.mark_offset IS NOT NULL THEN moves.mark_offset
                WHEN moves.next >= o.next_offset THEN o.mark_offset END,
            mark_digest = CASE
                WHEN moves.mark_offset IS NOT NULL THEN moves.mark_digest
                WHEN moves.next >= o.next_offset THEN o.mark_digest END
        FROM unnest($2, $3, $4, $5, $6, $7) AS moves (topic, partition, expected, next, mark_offset, mark_digest)
        WHERE o.projection_id = $1 AND o.topic = moves.topic AND o.partition = moves.partition
            AND o.next_offset = moves.expected
        """
}
