internal import Letters
internal import Metrics
internal import Postgres
internal import StreamCore

/// The numbers of letters for metrics, computed from the counts of the groups, so the cost does not depend on the
/// number of letters. Only the sending handler reports them.
struct LetterStatistics {
    private struct Series: Hashable {
        let consumer: String
        let errorClass: String
        let state: String
    }

    private let connection: PostgresConnection
    private var gauges: [Series: Gauge] = [:]
    private let oldest = Gauge(label: "millrace_dead_letters_oldest_open_seconds")
    private let waiting = Gauge(label: "millrace_dead_letters_sends_waiting")

    /// Consumers and classes come from records. After this number of series, the others are combined into one.
    private static let seriesLimit = 1_000

    init(_ connection: PostgresConnection) {
        self.connection = connection
    }

    private static let counts: Statement = """
        SELECT consumer, error_class, sum(pending)::bigint, sum(retrying)::bigint, sum(resolved)::bigint,
            sum(discarded)::bigint
        FROM dead_letter_groups GROUP BY consumer, error_class ORDER BY consumer, error_class
        """

    /// The letter with the lowest number is the oldest one, or close to it.
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
        for row in 0..<rows.rowCount {
            let consumer = try rows.string(row, 0)
            let errorClass = try rows.string(row, 1)
            let isOther = values.count >= Self.seriesLimit
            for (column, state) in [(2, "pending"), (3, "retrying"), (4, "resolved"), (5, "discarded")] {
                let series = Series(
                    consumer: isOther ? "other" : consumer, errorClass: isOther ? "other" : errorClass, state: state)
                values[series, default: 0] += try rows.int64(row, column)
            }
        }
        for series in gauges.keys where values[series] == nil { values[series] = 0 }
        for (series, value) in values { gauge(series).record(value) }
        let ages = try await connection.execute(Self.ages)
        oldest.record(try ages.double(0, 0))
        waiting.record(try ages.int64(0, 1))
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

    /// Resets the metrics. A handler that is no longer active must not keep reporting its last numbers.
    func retire() {
        for gauge in gauges.values { gauge.record(0) }
        oldest.record(0)
        waiting.record(0)
    }
}
