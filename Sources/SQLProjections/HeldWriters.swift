internal import Kafka
internal import Postgres
internal import StreamCore

/// Holds commands until the transaction ends, while the relay continues, so that all events of the topics reach Kafka.
struct HeldWriters {
    /// Some events had not been published when the time was over.
    struct Busy: Error {
        let rows: Int64
    }

    private let topics: [String]
    private let topicSuffix: String
    private let transaction: PostgresTransaction

    /// Waits for the current commands to end. New commands wait until the transaction ends.
    ///
    /// - Parameter transaction: must see the commits of other transactions.
    init(_ topics: [String], topicSuffix: String, in transaction: PostgresTransaction) async throws(PostgresError) {
        self.topics = topics
        self.topicSuffix = topicSuffix
        self.transaction = transaction
        try await transaction.execute(
            .unprepared(
                """
                SELECT pg_advisory_xact_lock(hashtextextended('millrace inline projections ' || current_schema(), 0))
                """))
    }

    /// Waits until the relay has published all rows of the topics, whether it deletes or keeps published rows. A failed
    /// row that no operator has discarded may still be published later, so it counts too.
    ///
    /// - Throws: ``Busy`` if rows are left at the deadline; `PostgresError`.
    func drained(until deadline: ContinuousClock.Instant) async throws {
        var names = TextArray()
        for topic in topics { names.append(topic) }
        let parameters = Parameters {
            $0.append(names)
            $0.append(topicSuffix)
        }
        while true {
            let rows = try await transaction.execute(Self.underWay, parameters).int64(0, 0)
            if rows == 0 { return }
            guard ContinuousClock.now < deadline else { throw Busy(rows: rows) }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    private static let underWay: Statement = """
        SELECT count(*) FROM (
            SELECT topic, aggregate_type FROM outbox WHERE published_at IS NULL
            UNION ALL SELECT topic, aggregate_type FROM outbox_failed WHERE state = 'failed'
        ) AS waiting WHERE coalesce(topic, lower(aggregate_type) || $2) = ANY ($1::text[])
        """
}

extension KafkaAdmin {
    /// The offset ranges of the topics' partitions. A topic that does not exist has none.
    func ranges(of topics: [String]) async throws(KafkaError) -> [TopicPartition: Range<Int64>] {
        let partitions = try await partitions(of: topics).values.flatMap { $0 }
        return try await watermarks(of: partitions).mapValues { $0.low..<max($0.low, $0.high) }
    }
}
