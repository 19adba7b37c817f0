public import Kafka
public import Postgres
internal import StreamCore
public import Tail

/// The path of an aggregate's events: outbox → topics → projections → process managers → dead letters.
public struct AggregateTrace: Sendable {
    private let id: String
    private let member: String?
    private let connection: PostgresConnection
    private let outbox: String
    private let failedOutbox: String
    /// The maximum number of records, counted from the newest one.
    private static let recordLimit = 1_000

    /// - Parameters:
    ///   - id: the id of the aggregate.
    ///   - member: a member of payloads that contains the aggregate's id. Events with it are included too.
    ///   - outbox: the outbox table.
    ///   - failedOutbox: the table of rows that could not be published.
    ///   - connection: a connection to the database.
    public init(
        of id: String, orReferredToBy member: String? = nil, outbox: String = "outbox",
        failedOutbox: String = "outbox_failed", on connection: PostgresConnection
    ) {
        self.id = id
        self.member = member
        self.outbox = SQLIdentifier.quoted(outbox)
        self.failedOutbox = SQLIdentifier.quoted(failedOutbox)
        self.connection = connection
    }

    /// The topics of events that the database's projections read, without those of retries. Empty if there are none.
    ///
    /// - Throws: `PostgresError`.
    public func topics() async throws -> [String] {
        guard let rows = try await asked(Self.topics, Parameters()) else { return [] }
        return try (0..<rows.rowCount).map { try rows.string($0, 0) }
    }

    /// A retry topic ends with the name of its projection.
    private static let topics: Statement = """
        SELECT DISTINCT o.topic FROM projections AS p JOIN projection_offsets AS o ON o.projection_id = p.id
        LEFT JOIN projection_versions AS v ON v.name = p.name AND v.version = p.version
        WHERE v.state IS DISTINCT FROM 'superseded'
            AND NOT (starts_with(o.topic, 'retry') AND right(o.topic, length(p.name) + 1) = '.' || p.name)
        ORDER BY 1
        """

    /// Queries the database and reads the topics to their ends.
    ///
    /// - Parameters:
    ///   - kafka: the Kafka cluster.
    ///   - topics: the topics of events, or patterns.
    ///   - needsEachTopic: whether there must be a topic for each of them.
    ///   - from: the position at which reading begins.
    ///   - isStopping: whether to stop early. It is called between batches.
    /// - Throws: `PostgresError`, `KafkaError`, `TailError`.
    public func read(
        _ kafka: KafkaClientConfiguration, topics: [String], needsEachTopic: Bool = true, from: TailPoint,
        isStopping: @escaping @Sendable () -> Bool
    ) async throws -> TraceTimeline {
        var timeline = TraceTimeline()
        for step in try await outboxSteps() { timeline.add([step]) }
        var request = TailRequest(topics: topics.map { TopicPattern($0) })
        request.needsEachTopic = needsEachTopic
        request.from = from
        request.filter = RecordFilter([member.map { .aggregate(id, orReferredToBy: $0) } ?? .aggregate(id)])
        let reader = try TailReader(kafka, request, to: nil, isStopping: isStopping, onTrouble: { _ in })
        let records = try await reader.collect(last: Self.recordLimit)
        let projections = try await projections()
        let parked = try await parked(at: records)
        // The copies of an event in topics of dead letters and of retries happened once.
        var happened: Set<TraceStep> = []
        for record in records {
            timeline.add(
                Self.steps(of: record, projections, parked).filter { step in
                    step.order > 0 || happened.insert(step).inserted
                })
        }
        for step in try await processSteps() { timeline.add([step]) }
        for step in try await letterSteps(of: records) { timeline.add([step]) }
        return timeline
    }

    /// - Returns: nil if the schema does not have the table.
    private func asked(_ statement: Statement, _ parameters: Parameters) async throws -> QueryResult? {
        do throws(PostgresError) {
            return try await connection.execute(statement, parameters)
        } catch {
            guard ["42P01", "42703"].contains(error.sqlState?.code) else { throw error }
            return nil
        }
    }

    // MARK: the outbox

    private func outboxSteps() async throws -> [TraceStep] {
        var steps: [TraceStep] = []
        let wanted = Parameters {
            $0.append(id)
            $0.append(member)
        }
        for statement in outboxStatements {
            guard let rows = try await asked(statement, wanted) else { continue }
            for row in 0..<rows.rowCount {
                let number = try rows.optionalInt64(row, 3).map { " #\($0)" } ?? ""
                let event = "\(try rows.optionalString(row, 2) ?? "an event")\(number)"
                steps.append(
                    TraceStep(
                        try rows.optionalTimestamp(row, 1), "outbox row \(try rows.int64(row, 0))",
                        "\(event) \(try rows.string(row, 4))", order: 0))
            }
        }
        return steps
    }

    /// The first two statements are for the two layouts. One of them fails, because the table lacks the columns of the
    /// other layout.
    private var outboxStatements: [Statement] {
        [
            .unprepared(
                """
                SELECT id, CASE WHEN isfinite(occurred_at) THEN occurred_at END, event_type, sequence,
                    CASE WHEN published_at IS NULL THEN 'waits to be published' ELSE 'published, and kept' END
                FROM \(outbox) WHERE aggregate_id = $1::text OR payload ->> $2::text = $1 ORDER BY id LIMIT 1000
                """),
            .unprepared(
                """
                SELECT millrace_position, NULL::timestamptz, type::text, NULL::bigint, 'waits to be published'
                FROM \(outbox) WHERE aggregateid::text = $1::text AND coalesce($2::text, '') IS NOT NULL
                ORDER BY millrace_position LIMIT 1000
                """),
            .unprepared(
                """
                SELECT id, failed_at, event_type, sequence,
                    CASE state WHEN 'failed' THEN 'cannot be published: ' ELSE 'discarded: ' END || error_class
                FROM \(failedOutbox) WHERE aggregate_id = $1::text OR payload ->> $2::text = $1 ORDER BY id LIMIT 1000
                """),
        ]
    }

    // MARK: topics and projections

    private struct Position {
        let projection: String
        let next: Int64
        let movedAt: Timestamp
    }

    private struct Parked {
        let projection: String
        let at: Timestamp
        let text: String
    }

    private struct Origin: Hashable {
        let partition: TopicPartition
        let offset: Int64
    }

    /// The position of each projection in each partition.
    private func projections() async throws -> [TopicPartition: [Position]] {
        guard let rows = try await asked(Self.positions, Parameters()) else { return [:] }
        var positions: [TopicPartition: [Position]] = [:]
        for row in 0..<rows.rowCount {
            let partition = TopicPartition(topic: try rows.string(row, 1), partition: try rows.int32(row, 2))
            positions[partition, default: []].append(
                Position(
                    projection: try rows.string(row, 0), next: try rows.int64(row, 3),
                    movedAt: try rows.timestamp(row, 4)))
        }
        return positions
    }

    private static let positions: Statement = """
        SELECT p.name || ' v' || p.version, o.topic, o.partition, o.next_offset, o.updated_at
        FROM projections AS p JOIN projection_offsets AS o ON o.projection_id = p.id ORDER BY 1
        """

    private func parked(at records: [CopiedRecord]) async throws -> [Origin: [Parked]] {
        guard let rows = try await asked(Self.parkedRows, Self.places(of: records)) else { return [:] }
        var parked: [Origin: [Parked]] = [:]
        for row in 0..<rows.rowCount {
            let partition = TopicPartition(topic: try rows.string(row, 1), partition: try rows.int32(row, 2))
            let reason = try rows.string(row, 4)
            let cause = try rows.optionalString(row, 5).map { ": \($0)" } ?? ""
            parked[Origin(partition: partition, offset: try rows.int64(row, 3)), default: []].append(
                Parked(
                    projection: try rows.string(row, 0), at: try rows.timestamp(row, 6),
                    text: reason == "blocked" ? "parked behind an earlier event of its key" : "\(reason)\(cause)"))
        }
        return parked
    }

    private static let parkedRows: Statement = """
        SELECT p.name || ' v' || p.version, e.topic, e.partition, e.record_offset, e.reason, e.error_class, e.parked_at
        FROM parked_events AS e JOIN projections AS p ON p.id = e.projection_id
        JOIN unnest($1::text[], $2::int[], $3::bigint[]) AS r (topic, partition, record_offset)
            USING (topic, partition, record_offset)
        """

    private static func places(of records: [CopiedRecord]) -> Parameters {
        var (topics, partitions, offsets) = (TextArray(), Int32Array(), Int64Array())
        for record in records {
            topics.append(record.topicPartition.topic)
            partitions.append(record.topicPartition.partition)
            offsets.append(record.offset)
        }
        let columns = (topics, partitions, offsets)
        return Parameters {
            $0.append(columns.0)
            $0.append(columns.1)
            $0.append(columns.2)
        }
    }

    private static func steps(
        of record: CopiedRecord, _ projections: [TopicPartition: [Position]], _ parked: [Origin: [Parked]]
    ) -> [TraceStep] {
        let glance = EventGlance(record)
        let event = (glance.typeText ?? "a record") + (glance.sequence.map { " #\($0)" } ?? "")
        let place = "\(record.topicPartition.topic)/\(record.topicPartition.partition)/\(record.offset)"
        var steps: [TraceStep] = []
        if let at = glance.occurredAt { steps.append(TraceStep(at, "event", "\(event) happened", order: 0)) }
        let published = record.timestampMs.flatMap { Self.timestamp(ofMilliseconds: $0) }
        steps.append(TraceStep(published, place, "\(event) published", order: 1))
        let rows = parked[Origin(partition: record.topicPartition, offset: record.offset)] ?? []
        for position in projections[record.topicPartition] ?? []
        where !rows.contains(where: { $0.projection == position.projection }) {
            steps.append(Self.step(position, record.offset, event))
        }
        for row in rows { steps.append(TraceStep(row.at, row.projection, "\(event) \(row.text)", order: 3)) }
        return steps
    }

    /// The database stores the time of application only for the last record of a partition.
    private static func step(_ position: Position, _ offset: Int64, _ event: String) -> TraceStep {
        let text =
            position.next > offset ? "\(event) applied" : "\(event) waits behind \(offset - position.next) offsets"
        let isLast = position.next == offset + 1
        return TraceStep(isLast ? position.movedAt : nil, position.projection, text, order: 2)
    }

    /// nil if the time cannot be expressed in microseconds.
    private static func timestamp(ofMilliseconds milliseconds: Int64) -> Timestamp? {
        let (microseconds, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000)
        return overflow ? nil : Timestamp(microseconds: microseconds)
    }

    // MARK: process managers

    /// What the processes with the aggregate's id have done.
    private func processSteps() async throws -> [TraceStep] {
        guard let rows = try await asked(Self.processHistory, Parameters { $0.append(id) }) else { return [] }
        return try (0..<rows.rowCount).map { row in
            let text = "\(try rows.string(row, 2)) \(try rows.string(row, 3)) → \(try rows.string(row, 4))"
            return TraceStep(try rows.timestamp(row, 1), try rows.string(row, 0), text, order: 3)
        }
    }

    private static let processHistory: Statement = """
        SELECT process, at, step, outcome, stage FROM process_steps WHERE process_id = $1 ORDER BY process, number
        LIMIT 1000
        """

    // MARK: dead letters

    private func letterSteps(of records: [CopiedRecord]) async throws -> [TraceStep] {
        guard let rows = try await asked(Self.letters, Self.places(of: records)) else { return [] }
        var steps: [TraceStep] = []
        for row in 0..<rows.rowCount {
            steps.append(
                TraceStep(
                    try rows.timestamp(row, 1), "dead letter \(try rows.int64(row, 0))", try rows.string(row, 2),
                    order: 4))
        }
        return steps
    }

    private static let letters: Statement = """
        WITH found AS (
            SELECT l.* FROM dead_letters AS l
            JOIN unnest($1::text[], $2::int[], $3::bigint[]) AS r (topic, partition, record_offset)
                ON (l.origin_topic, l.origin_partition, l.origin_offset) = (r.topic, r.partition, r.record_offset)
        )
        SELECT letter_id, created_at, consumer || ': ' || coalesce(event_type, 'a record') || ' ' || reason || ', '
            || error_class || ' (now ' || state || ')', 0 AS n
        FROM found
        UNION ALL
        SELECT h.letter_id, h.at, h.action || coalesce(' → ' || h.to_state, '') || ' by ' || h.actor
            || coalesce(': ' || h.reason, ''), 1
        FROM dead_letter_history AS h JOIN found USING (letter_id)
        ORDER BY 2, 4, 1
        """
}
