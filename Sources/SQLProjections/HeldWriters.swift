internal import Kafka
internal import Postgres
internal import StreamCore

/// A moment in which no command is under way and Kafka has all events of the topics: commands wait, the relay goes on.
struct HeldWriters {
    /// What was still under way when the time was over.
    struct Busy: Error {
        let rows: Int64
    }

    private let topics: [String]
    private let topicSuffix: String
    private let transaction: PostgresTransaction

    /// Waits for the commands under way; those that come wait until the transaction ends.
    ///
    /// - Parameter transaction: sees what others have committed.
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

    /// Waits until the relay has published the topics' rows, whether it removes or keeps them then. A row that cannot
    /// be published and that nobody has discarded may still be published later.
    ///
    /// - Throws: ``Busy`` when there are still some at the deadline; `PostgresError`.
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
    /// Where the partitions of topics begin and end. A topic that does not exist has none.
    func ranges(of topics: [String]) async throws(KafkaError) -> [TopicPartition: Range<Int64>] {
        let partitions = try await partitions(of: topics).values.flatMap { $0 }
        return try await watermarks(of: partitions).mapValues { $0.low..<max($0.low, $0.high) }
    }
}
