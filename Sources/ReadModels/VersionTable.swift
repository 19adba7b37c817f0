public import Postgres
internal import StreamCore

/// The statements on versions: tables `projection_versions` and `rebuild_ranges`.
public enum VersionTable {
    /// All versions of a read model, by number.
    ///
    /// - Throws: `PostgresError`; `undefinedTable` if the migrations of set `projections` are not applied.
    public static func versions(
        of name: String, on connection: PostgresConnection
    ) async throws(PostgresError) -> [ModelVersion] {
        try versions(in: try await connection.execute(select, Parameters { $0.append(name) }))
    }

    static func versions(
        of name: String, in transaction: PostgresTransaction
    ) async throws(PostgresError) -> [ModelVersion] {
        try versions(in: try await transaction.execute(select, Parameters { $0.append(name) }))
    }

    static func versions(in result: QueryResult) throws(PostgresError) -> [ModelVersion] {
        var versions: [ModelVersion] = []
        for row in 0..<result.rowCount {
            guard let state = ModelVersion.State(rawValue: try result.string(row, 4)) else {
                throw PostgresError(.decoding, "a version has a state that this program does not know")
            }
            var version = ModelVersion(
                name: try result.string(row, 0), version: Int(try result.int32(row, 1)),
                schema: try result.string(row, 2), structure: Int(try result.int32(row, 3)), state: state,
                startedAt: try result.timestamp(row, 6))
            version.recordsPerSecond = try result.optionalInt32(row, 5).map(Int.init)
            version.verifiedAt = try result.optionalTimestamp(row, 7)
            version.promotedAt = try result.optionalTimestamp(row, 8)
            versions.append(version)
        }
        return versions
    }

    static let columns = """
        name, version, schema_name, structure, state, records_per_second, started_at, verified_at, promoted_at
        """
    static let select = Statement(
        "SELECT \(columns) FROM projection_versions WHERE name = $1 ORDER BY version")

    /// Prevents other steps of rebuilds of this read model until the transaction ends.
    static let lock = Statement(
        "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' millrace rebuild ' || $1, 0))")
    static let insert = Statement(
        """
        INSERT INTO projection_versions (name, version, schema_name, structure, state, records_per_second)
        VALUES ($1, $2, $3, $4, 'building', $5)
        """)
    static let insertLive = Statement(
        """
        INSERT INTO projection_versions (name, version, schema_name, structure, state, promoted_at)
        VALUES ($1, $2, $3, $4, 'live', clock_timestamp())
        """)
    static let setRate = Statement(
        "UPDATE projection_versions SET records_per_second = $3 WHERE name = $1 AND version = $2")
    static let setState = Statement(
        """
        UPDATE projection_versions SET state = $3,
            promoted_at = CASE $3 WHEN 'live' THEN clock_timestamp() ELSE promoted_at END
        WHERE name = $1 AND version = $2
        """)
    static let setVerified = Statement(
        """
        UPDATE projection_versions SET verified_at = clock_timestamp()
        WHERE name = $1 AND version = $2 AND state = 'building'
        """)
    static let delete = Statement("DELETE FROM projection_versions WHERE name = $1 AND version = $2")

    /// The name of a version's consumer group: the group of another version, with this version's number.
    static let group = Statement(
        """
        SELECT regexp_replace(consumer_group, '\\.v[0-9]+$', '') || '.v' || $2::text FROM projections
        WHERE name = $1 ORDER BY version DESC LIMIT 1
        """)
    static let forgetProjection = Statement(
        "DELETE FROM projections WHERE name = $1 AND version = $2 RETURNING id")
    static let insertProjection = Statement(
        "INSERT INTO projections (name, version, consumer_group) VALUES ($1, $2, $3)")
    static let insertOffsets = Statement(
        """
        INSERT INTO projection_offsets (projection_id, topic, partition, next_offset)
        SELECT p.id, r.topic, r.partition, r.start_offset
        FROM rebuild_ranges AS r JOIN projections AS p USING (name, version)
        WHERE r.name = $1 AND r.version = $2
        """)
    static let insertRanges = Statement(
        """
        INSERT INTO rebuild_ranges (name, version, topic, partition, start_offset, end_offset)
        SELECT $1, $2, topic, partition, start_offset, end_offset
        FROM unnest($3, $4, $5, $6) AS r (topic, partition, start_offset, end_offset)
        """)

    /// Whether this database stores dead letters.
    static let hasLetters: Statement = "SELECT to_regproc('millrace_close_letters') IS NOT NULL"
    static let closeLetters = Statement(
        "SELECT millrace_close_letters(consumer_group) FROM projections WHERE name = $1 AND version = $2")

    /// The partitions of a version's ranges, with the progress in each.
    static let progress = Statement(
        """
        SELECT r.topic, r.partition, r.start_offset, coalesce(o.next_offset, r.start_offset), r.end_offset
        FROM rebuild_ranges AS r
        LEFT JOIN projections AS p USING (name, version)
        LEFT JOIN projection_offsets AS o
            ON o.projection_id = p.id AND o.topic = r.topic AND o.partition = r.partition
        WHERE r.name = $1 AND r.version = $2
        ORDER BY r.topic, r.partition
        """)
    /// The number of records that version $2 has applied and version $3 has not, in the topics that version $3 reads.
    static let behind = Statement(
        """
        SELECT coalesce(sum(greatest(0, theirs.next_offset - coalesce(own.next_offset, 0))), 0)::bigint
        FROM projections AS other JOIN projection_offsets AS theirs ON theirs.projection_id = other.id
        LEFT JOIN projections AS mine ON mine.name = other.name AND mine.version = $3
        LEFT JOIN projection_offsets AS own
            ON own.projection_id = mine.id AND own.topic = theirs.topic AND own.partition = theirs.partition
        WHERE other.name = $1 AND other.version = $2
            AND theirs.topic IN (SELECT topic FROM rebuild_ranges WHERE name = $1 AND version = $3)
        """)
    /// Locks the offsets of a version until the transaction ends, so that the version makes no progress.
    static let holdOffsets = Statement(
        """
        SELECT o.next_offset FROM projection_offsets AS o JOIN projections AS p ON p.id = o.projection_id
        WHERE p.name = $1 AND p.version = $2
        ORDER BY o.topic, o.partition
        FOR NO KEY UPDATE OF o
        """)
}
