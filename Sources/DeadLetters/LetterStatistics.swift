internal import Metrics
internal import Postgres
internal import StreamCore

/// The numbers of the letters, from the groups' counts: as cheap for a million letters as for ten. Kept by the handler
/// that sends; a standby shows none.
struct LetterStatistics {
    private struct Series: Hashable {
        let consumer: String
        let errorClass: String
        let state: String
    }

    private let connection: PostgresConnection
    private let threshold: Int64?
    private let telemetry: HandlerTelemetry
    private var gauges: [Series: Gauge] = [:]
    private let oldest = Gauge(label: "millrace_dead_letters_oldest_open_seconds")
    private let waiting = Gauge(label: "millrace_dead_letters_sends_waiting")
    /// Consumers that an alert was made for; nil until it was asked which.
    private var above: Set<String>?

    /// Consumers and classes come from records: beyond so many series the rest are one.
    private static let seriesLimit = 1_000

    init(_ connection: PostgresConnection, threshold: Int?, _ telemetry: HandlerTelemetry) {
        self.connection = connection
        self.threshold = threshold.map { Int64($0) }
        self.telemetry = telemetry
    }

    private static let counts: Statement = """
        SELECT consumer, error_class, sum(pending)::bigint, sum(retrying)::bigint, sum(resolved)::bigint,
            sum(discarded)::bigint
        FROM dead_letter_groups GROUP BY consumer, error_class ORDER BY consumer, error_class
        """

    /// The first letter by number is the oldest, or as good as.
    private static let ages: Statement = """
        SELECT
            coalesce(extract(epoch FROM clock_timestamp() - least(
                (SELECT created_at FROM dead_letters WHERE state = 'pending' ORDER BY letter_id LIMIT 1),
                (SELECT created_at FROM dead_letters WHERE state = 'retrying' ORDER BY letter_id LIMIT 1)
            )), 0)::double precision,
            (SELECT count(*) FROM dead_letter_sends)
        """

    mutating func refresh() async throws {
        let rows = try await connection.execute(Self.counts)
        var values: [Series: Int64] = [:]
        var open: [String: Int64] = [:]
        for row in 0..<rows.rowCount {
            let consumer = try rows.string(row, 0)
            let errorClass = try rows.string(row, 1)
            let isOther = values.count >= Self.seriesLimit
            for (column, state) in [(2, "pending"), (3, "retrying"), (4, "resolved"), (5, "discarded")] {
                let series = Series(
                    consumer: isOther ? "other" : consumer, errorClass: isOther ? "other" : errorClass, state: state)
                values[series, default: 0] += try rows.int64(row, column)
            }
            open[consumer, default: 0] += try rows.int64(row, 2) + rows.int64(row, 3)
        }
        for series in gauges.keys where values[series] == nil { values[series] = 0 }
        for (series, value) in values { gauge(series).record(value) }
        let ages = try await connection.execute(Self.ages)
        oldest.record(try ages.double(0, 0))
        waiting.record(try ages.int64(0, 1))
        if let threshold { try await watch(open, threshold) }
    }

    private mutating func gauge(_ series: Series) -> Gauge {
        if let gauge = gauges[series] { return gauge }
        let isBlocked = series.errorClass == LetterText.blockedClass
        let gauge = Gauge(
            label: "millrace_dead_letters",
            dimensions: [
                ("consumer", series.consumer), ("error_class", series.errorClass),
                ("reason", isBlocked ? LetterReason.blocked.rawValue : LetterReason.failed.rawValue),
                ("state", series.state),
            ])
        gauges[series] = gauge
        return gauge
    }

    /// Nobody shows numbers that are kept no more.
    func retire() {
        for gauge in gauges.values { gauge.record(0) }
        oldest.record(0)
        waiting.record(0)
    }

    // MARK: the threshold

    private static let recentAlerts: Statement = """
        SELECT DISTINCT consumer FROM dead_letter_alerts
        WHERE kind = 'threshold' AND created_at > clock_timestamp() - interval '1 hour'
        """

    private static let insertAlert: Statement = """
        INSERT INTO dead_letter_alerts (kind, consumer, letters, message) VALUES ('threshold', $1, $2, $3)
        """

    /// Makes an alert when a consumer comes to the threshold, once until it is below again. Who takes over from another
    /// handler does not repeat what was told within the hour.
    private mutating func watch(_ open: [String: Int64], _ threshold: Int64) async throws {
        var above: Set<String>
        if let known = self.above { above = known } else { above = try await alerted() }
        for (consumer, letters) in open {
            if letters < threshold {
                above.remove(consumer)
            } else if above.insert(consumer).inserted {
                telemetry.crossedThreshold(consumer, open: letters)
                let parameters = Parameters {
                    $0.append(consumer)
                    $0.append(letters)
                    $0.append("\(letters) open letters, the threshold is \(threshold)")
                }
                try await connection.execute(Self.insertAlert, parameters)
            }
        }
        self.above = above
    }

    private func alerted() async throws -> Set<String> {
        let rows = try await connection.execute(Self.recentAlerts)
        return Set(try (0..<rows.rowCount).map { try rows.string($0, 0) })
    }
}
