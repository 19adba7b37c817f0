internal import Postgres
internal import StreamCore

/// A row of `dead_letter_alerts`.
struct Alert: Sendable {
    let alertID: Int64
    /// `new_group`, `threshold`, `circuit_breaker_opened` or `circuit_breaker_closed`.
    let kind: String
    let consumer: String
    let errorClass: String?
    let fingerprint: String?
    let message: String?
    let letters: Int64?
    let letterID: Int64?
    let createdAt: Timestamp
    /// The number of attempts so far.
    let tries: Int
    /// The time of the last sent alert of the same kind and group.
    let lastSent: Timestamp?
    /// Whether a later alert of the same group waits.
    let hasNewer: Bool
    /// The time of the database's clock, to which all of these times refer.
    let now: Timestamp

    /// The id of the message, which is the same for each attempt. It includes the time, because other databases number
    /// their alerts in the same way.
    var messageID: String { "alert_\(alertID)_\(createdAt.microseconds)" }
}

/// The statements on `dead_letter_alerts`. Only the active sender uses them.
enum AlertTable {
    /// The next due alert.
    static func next(_ connection: PostgresConnection) async throws(PostgresError) -> Alert? {
        let result = try await connection.execute(due)
        guard result.rowCount == 1 else { return nil }
        var row = LetterRow(result, 0)
        return Alert(
            alertID: try row.int64(), kind: try row.string(), consumer: try row.string(),
            errorClass: try row.text(), fingerprint: try row.text(), message: try row.text(),
            letters: try row.optionalInt64(), letterID: try row.optionalInt64(), createdAt: try row.timestamp(),
            tries: Int(try row.int32()), lastSent: try row.time(), hasNewer: try row.bool(), now: try row.timestamp())
    }

    private static let due: Statement = """
        SELECT a.alert_id, a.kind, a.consumer, a.error_class, a.fingerprint, a.message, a.letters, a.letter_id,
            a.created_at, a.tries,
            (SELECT max(b.sent_at) FROM dead_letter_alerts AS b
                WHERE b.kind = a.kind AND b.consumer = a.consumer AND b.error_class IS NOT DISTINCT FROM a.error_class
                    AND b.fingerprint IS NOT DISTINCT FROM a.fingerprint),
            EXISTS (SELECT FROM dead_letter_alerts AS b
                WHERE b.alert_id > a.alert_id AND b.sent_at IS NULL AND b.given_up_at IS NULL
                    AND b.consumer = a.consumer
                    AND (b.kind = a.kind AND b.error_class IS NOT DISTINCT FROM a.error_class
                        AND b.fingerprint IS NOT DISTINCT FROM a.fingerprint
                        OR b.kind LIKE 'circuit\\_breaker\\_%' AND a.kind LIKE 'circuit\\_breaker\\_%')),
            clock_timestamp()
        FROM dead_letter_alerts AS a
        WHERE a.sent_at IS NULL AND a.given_up_at IS NULL AND a.next_try_at <= clock_timestamp()
        ORDER BY a.next_try_at, a.alert_id LIMIT 1
        """

    /// Counts an attempt before it is made, so an attempt during which the process crashes is counted too.
    static func begin(_ alert: Alert, until: Timestamp, _ connection: PostgresConnection) async throws(PostgresError) {
        try await connection.execute(
            "UPDATE dead_letter_alerts SET tries = tries + 1, next_try_at = $2 WHERE alert_id = $1",
            Parameters {
                $0.append(alert.alertID)
                $0.append(until)
            })
    }

    static func postpone(
        _ alert: Alert, until: Timestamp, _ connection: PostgresConnection
    ) async throws(PostgresError) {
        try await connection.execute(
            "UPDATE dead_letter_alerts SET next_try_at = $2 WHERE alert_id = $1",
            Parameters {
                $0.append(alert.alertID)
                $0.append(until)
            })
    }

    static func sent(_ alert: Alert, _ connection: PostgresConnection) async throws(PostgresError) {
        try await connection.execute(
            "UPDATE dead_letter_alerts SET sent_at = clock_timestamp() WHERE alert_id = $1",
            Parameters { $0.append(alert.alertID) })
    }

    static func giveUp(_ alert: Alert, _ connection: PostgresConnection) async throws(PostgresError) {
        try await connection.execute(
            "UPDATE dead_letter_alerts SET given_up_at = clock_timestamp() WHERE alert_id = $1",
            Parameters { $0.append(alert.alertID) })
    }

    // MARK: thresholds

    static func openLetters(_ connection: PostgresConnection) async throws(PostgresError) -> [String: Int64] {
        try await counts(
            "SELECT consumer, sum(pending + retrying)::bigint FROM dead_letter_groups GROUP BY consumer", connection)
    }

    /// The number of letters in the last threshold alert, by consumer.
    static func lastCrossings(_ connection: PostgresConnection) async throws(PostgresError) -> [String: Int64] {
        try await counts(
            """
            SELECT DISTINCT ON (consumer) consumer, letters FROM dead_letter_alerts
            WHERE kind = 'threshold' AND letters IS NOT NULL ORDER BY consumer, alert_id DESC
            """, connection)
    }

    private static func counts(
        _ statement: Statement, _ connection: PostgresConnection
    ) async throws(PostgresError) -> [String: Int64] {
        let result = try await connection.execute(statement)
        var counts: [String: Int64] = [:]
        for row in 0..<result.rowCount { counts[try result.string(row, 0)] = try result.int64(row, 1) }
        return counts
    }

    static func add(_ crossing: AlertPolicy.Crossing, _ connection: PostgresConnection) async throws(PostgresError) {
        try await connection.execute(
            """
            INSERT INTO dead_letter_alerts (kind, consumer, message, letters) VALUES ('threshold', $1, $2, $3)
            """,
            Parameters {
                $0.append(crossing.consumer)
                $0.append("\(crossing.letters) letters are open; the threshold is \(crossing.threshold)")
                $0.append(crossing.letters)
            })
    }
}
