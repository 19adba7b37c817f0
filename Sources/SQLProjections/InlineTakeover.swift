public import Kafka
public import Postgres
internal import Projections
internal import StreamCore

/// Hands the live version of a projection over from its daemon to the commands. From then on, commands apply their
/// events in their own transactions.
///
/// Commands wait during the handover. At the handover, the outbox contains none of the version's events, and the
/// version has applied all records in Kafka. So no event is applied twice or left out.
public struct InlineTakeover: Sendable {
    private let schema: VersionSchema
    private let postgres: PostgresConfiguration
    private let kafka: KafkaClientConfiguration
    private let topicSuffix: String

    /// - Parameter topicSuffix: the suffix of topics in the relay's settings.
    public init(
        _ schema: VersionSchema, _ postgres: PostgresConfiguration, kafka: KafkaClientConfiguration,
        topicSuffix: String = "-events"
    ) {
        self.schema = schema
        self.postgres = postgres
        self.kafka = kafka
        self.topicSuffix = topicSuffix
    }

    /// Hands the version over.
    ///
    /// - Parameter wait: maximum time for which commands wait.
    /// - Returns: false if commands already apply the version.
    /// - Throws: ``VersionSchema/Refusal``; `PostgresError`, `KafkaError`.
    public func run(waitingUpTo wait: Duration = .seconds(3)) async throws -> Bool {
        let folder = schema.folder
        if let obstacle = InlineProjection.obstacle(folder) { throw refusal(obstacle) }
        let admin = try KafkaAdmin(kafka)
        return try await PostgresConnection.with(postgres) { connection in
            try await connection.withTransaction { transaction in
                try await schema.compare(in: transaction)
                try await check(transaction)
                if try await InlineVersions.topicSuffix(of: folder, in: transaction) != nil { return false }
                let deadline = ContinuousClock.now + wait
                let writers = try await HeldWriters(folder.topics, topicSuffix: topicSuffix, in: transaction)
                do {
                    try await writers.drained(until: deadline)
                } catch let busy as HeldWriters.Busy {
                    throw refusal(
                        """
                        the outbox still has \(busy.rows) of its events after \(wait): check that the relay is \
                        running, that `millrace outbox failed list` shows no row, and that only command-service writes \
                        such events
                        """)
                }
                try await passed(try await admin.ranges(of: folder.topics), until: deadline, transaction)
                try await record(transaction)
                return true
            }
        }
    }

    private func refusal(_ reason: String) -> VersionSchema.Refusal {
        VersionSchema.Refusal(
            description: "commands cannot apply version \(schema.folder.version) of \(schema.folder.name): \(reason)")
    }

    private var key: Parameters {
        Parameters {
            $0.append(schema.folder.name)
            $0.append(Int32(schema.folder.version))
        }
    }

    private func check(_ transaction: PostgresTransaction) async throws {
        let tables = try await transaction.execute(
            .unprepared("SELECT to_regclass('outbox') IS NOT NULL AND to_regclass('inline_projections') IS NOT NULL"))
        guard try tables.bool(0, 0) else {
            throw refusal("its database is not that of the commands, with the migrations \"outbox\" and \"commands\"")
        }
        let state = try await transaction.execute(
            .unprepared("SELECT state FROM projection_versions WHERE name = $1 AND version = $2 FOR UPDATE"), key)
        guard state.rowCount == 1, try state.string(0, 0) == "live" else {
            throw refusal("it is not the live version; promote it first")
        }
    }

    /// Waits until the daemon has applied all records, and locks its offsets. The daemon has no open transaction then,
    /// and its next transaction finds that the version was handed over.
    private func passed(
        _ ranges: [TopicPartition: Range<Int64>], until deadline: ContinuousClock.Instant,
        _ transaction: PostgresTransaction
    ) async throws {
        while true {
            let behind = try await behind(ranges, .unprepared(Self.offsets), transaction)
            if behind == 0 { break }
            guard ContinuousClock.now < deadline else {
                throw refusal("\(behind) records of its topics are not applied yet: check that its daemon is running")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        guard try await behind(ranges, .unprepared(Self.offsets + " FOR UPDATE OF o"), transaction) == 0 else {
            throw refusal("its offsets were set back meanwhile: try again")
        }
        let parked = try await transaction.execute(
            .unprepared(
                """
                SELECT count(*) FROM parked_events AS e JOIN projections AS p ON p.id = e.projection_id
                WHERE p.name = $1 AND p.version = $2
                """), key)
        guard try parked.int64(0, 0) == 0 else {
            throw refusal(
                "\(try parked.int64(0, 0)) of its events are dead letters: retry or discard them, or build a new version"
            )
        }
    }

    private func behind(
        _ ranges: [TopicPartition: Range<Int64>], _ statement: Statement, _ transaction: PostgresTransaction
    ) async throws -> Int64 {
        let rows = try await transaction.execute(statement, key)
        var next: [TopicPartition: Int64] = [:]
        for row in 0..<rows.rowCount {
            next[TopicPartition(topic: try rows.string(row, 0), partition: try rows.int32(row, 1))] =
                try rows.int64(row, 2)
        }
        return ranges.reduce(0) { $0 + max(0, $1.value.upperBound - max($1.value.lowerBound, next[$1.key] ?? 0)) }
    }

    private static let offsets = """
        SELECT o.topic, o.partition, o.next_offset
        FROM projection_offsets AS o JOIN projections AS p ON p.id = o.projection_id
        WHERE p.name = $1 AND p.version = $2 ORDER BY 1, 2
        """

    private func record(_ transaction: PostgresTransaction) async throws {
        // The daemon no longer moves these offsets, so they would show a lag.
        try await transaction.execute(
            .unprepared(
                """
                DELETE FROM projection_offsets
                WHERE projection_id = (SELECT id FROM projections WHERE name = $1 AND version = $2)
                """), key)
        try await transaction.execute(
            .unprepared(
                """
                INSERT INTO inline_projections (name, version, topic_suffix) VALUES ($1, $2, $3)
                ON CONFLICT (name) DO UPDATE SET version = excluded.version, topic_suffix = excluded.topic_suffix,
                    taken_at = clock_timestamp(), taken_by = session_user
                """),
            Parameters {
                $0.append(schema.folder.name)
                $0.append(Int32(schema.folder.version))
                $0.append(topicSuffix)
            })
    }
}
