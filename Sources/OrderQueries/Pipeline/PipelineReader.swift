internal import Postgres
internal import StreamCore

/// Reads the state of the pipeline from the database.
struct PipelineReader {
    let connection: PostgresConnection
    let timeoutMs: Int

    /// Maximum number of outbox rows that are counted.
    private static let backlogLimit: Int64 = 10_000

    func projections() async throws(PostgresError) -> [ProjectionReading] {
        let rows = try await connection.execute(Self.offsets, timeoutMs: timeoutMs)
        var readings: [ProjectionReading] = []
        for row in 0..<rows.rowCount {
            let (name, version) = (try rows.string(row, 0), try rows.int32(row, 1))
            if readings.last?.name != name || readings.last?.version != version {
                readings.append(ProjectionReading(name: name, version: version))
            }
            guard !rows.isNull(row, 2) else { continue }
            let partition = TopicPartition(topic: try rows.string(row, 2), partition: try rows.int32(row, 3))
            let committedAt = try rows.timestamp(row, 5)
            let last = readings.count - 1
            readings[last].next[partition] = try rows.int64(row, 4)
            readings[last].committedAt = max(readings[last].committedAt ?? committedAt, committedAt)
        }
        return readings
    }

    /// - Returns: nil if the schema has no outbox.
    func outbox() async throws(PostgresError) -> OutboxReading? {
        guard try await has("outbox"), try await has("outbox_failed") else { return nil }
        var limit = Parameters()
        limit.append(Self.backlogLimit + 1)
        let results = try await connection.pipeline(
            [(Self.backlog, limit), (Self.failedRows, Parameters())], timeoutMs: timeoutMs)
        let count = try results[0].int64(0, 0)
        return OutboxReading(
            backlog: min(count, Self.backlogLimit), backlogIsAtLeast: count > Self.backlogLimit,
            oldest: try results[0].optionalTimestamp(0, 1), failed: try results[1].int64(0, 0))
    }

    /// - Returns: nil if the schema has no dead letters.
    func deadLetters() async throws(PostgresError) -> DeadLetterReading? {
        guard try await has("dead_letter_groups") else { return nil }
        let results = try await connection.pipeline(
            [(Self.openLetters, Parameters()), (Self.groups, Parameters())], timeoutMs: timeoutMs)
        let rows = results[1]
        var groups: [DeadLetterReading.Group] = []
        for row in 0..<rows.rowCount {
            groups.append(
                DeadLetterReading.Group(
                    consumer: try rows.string(row, 0), errorClass: try rows.string(row, 1),
                    fingerprint: try rows.string(row, 2), message: try rows.string(row, 3),
                    count: try rows.int64(row, 4), firstSeen: try rows.timestamp(row, 5),
                    lastSeen: try rows.timestamp(row, 6)))
        }
        return DeadLetterReading(open: try results[0].int64(0, 0), groups: groups)
    }

    private func has(_ table: String) async throws(PostgresError) -> Bool {
        var parameters = Parameters()
        parameters.append(table)
        let rows = try await connection.execute(Self.tableExists, parameters, timeoutMs: timeoutMs)
        return try rows.bool(0, 0)
    }

    private static let tableExists: Statement = "SELECT to_regclass($1) IS NOT NULL"

    private static let offsets: Statement = """
        SELECT p.name, p.version, o.topic, o.partition, o.next_offset, o.updated_at
        FROM projections AS p LEFT JOIN projection_offsets AS o ON o.projection_id = p.id
        WHERE NOT EXISTS (
            SELECT FROM projection_versions AS v
            WHERE v.name = p.name AND v.version = p.version AND v.state <> 'live')
        ORDER BY p.name, p.version, o.topic, o.partition
        """

    private static let backlog: Statement = """
        SELECT count(*), min(occurred_at)
        FROM (SELECT occurred_at FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT $1) AS waiting
        """
    private static let failedRows: Statement = "SELECT count(*) FROM outbox_failed WHERE state = 'failed'"

    private static let openLetters: Statement =
        "SELECT coalesce(sum(pending + retrying), 0)::bigint FROM dead_letter_groups"
    private static let groups: Statement = """
        SELECT consumer, error_class, fingerprint, example_message, pending + retrying, first_seen, last_seen
        FROM dead_letter_groups WHERE pending + retrying > 0 ORDER BY last_seen DESC, fingerprint LIMIT 20
        """
}
