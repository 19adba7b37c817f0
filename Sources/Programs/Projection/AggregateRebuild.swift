internal import Kafka
internal import Postgres
internal import Projections
internal import StreamCore

/// Rebuilds one aggregate of the live version from all its events in Kafka, while the daemons run.
///
/// It reads all topics, and applies the aggregate's events to a row that it deletes in the same transaction. The events
/// must include all those that the live version has applied. Therefore it compares the version's offsets under the
/// row's lock. If they are ahead, it reads the newer events and repeats the transaction. The live version may later
/// apply an event that was already among them; applying it twice changes nothing.
struct AggregateRebuild<P: AggregateProjection>: Sendable {
    let projection: P
    let decisions: EventDecisions
    let postgres: PostgresConfiguration
    let kafka: KafkaClientConfiguration

    private struct Found {
        let partition: TopicPartition
        let offset: Int64
        let event: P.Event
    }

    /// The live version has applied more events than were read.
    private struct Behind: Error {}

    private static var silenceTimeoutMs: Int { 30_000 }

    /// - Parameter starts: the first offset of each partition, or the offset at which the version began.
    /// - Returns: the number of applied events of the aggregate.
    func run(_ subject: String, from starts: [TopicPartition: Int64]) async throws -> Int {
        let admin = try KafkaAdmin(kafka)
        let decided = DecidedProjection(projection, decisions)
        var positions = starts
        var found: [Found] = []
        return try await PostgresConnection.with(postgres) { connection in
            while true {
                let ends = try await admin.watermarks(of: Array(positions.keys)).mapValues(\.high)
                found += try await events(of: subject, decided, positions, ends)
                positions = ends
                do { return try await replace(subject, found, ends, connection) } catch is Behind {}
            }
        }
    }

    private func events(
        of subject: String, _ decided: DecidedProjection<P>, _ starts: [TopicPartition: Int64],
        _ ends: [TopicPartition: Int64]
    ) async throws -> [Found] {
        var found: [Found] = []
        var ranges: [TopicPartition: Range<Int64>] = [:]
        for (partition, end) in ends { ranges[partition] = min(starts[partition] ?? 0, end)..<end }
        let reader = RangeReader(kafka, silenceTimeoutMs: Self.silenceTimeoutMs)
        try await reader.read(ranges) { record in
            // An event that cannot be decoded is parked or stops the projection. Its aggregate is unknown.
            guard case .event(_, let event)? = try? decided.decode(record), projection.subject(of: event) == subject
            else { return }
            found.append(Found(partition: record.topicPartition, offset: record.offset, event: event))
        }
        return found
    }

    private func replace(
        _ subject: String, _ found: [Found], _ ends: [TopicPartition: Int64], _ connection: PostgresConnection
    ) async throws -> Int {
        try await connection.withTransaction { transaction in
            try await projection.forget(subject, in: transaction)
            let standing = try await LiveStanding.read(
                projection.name, version: projection.version, in: transaction)
            for (partition, end) in ends where standing.nextOffsets[partition] ?? 0 > end { throw Behind() }
            let events = found.filter { !standing.isParked($0.partition, $0.offset) }.map(\.event)
            if !events.isEmpty { try await projection.apply(events, in: transaction) }
            return events.count
        }
    }
}

/// The offsets of a version, and the events that it has parked.
private struct LiveStanding {
    private(set) var nextOffsets: [TopicPartition: Int64] = [:]
    private var parked: [TopicPartition: Set<Int64>] = [:]

    func isParked(_ partition: TopicPartition, _ offset: Int64) -> Bool {
        parked[partition]?.contains(offset) ?? false
    }

    static func read(
        _ name: String, version: Int, in transaction: PostgresTransaction
    ) async throws -> LiveStanding {
        let key = Parameters {
            $0.append(name)
            $0.append(Int32(version))
        }
        let results = try await transaction.pipeline([(offsets, key), (parked, key)])
        var standing = LiveStanding()
        for row in 0..<results[0].rowCount {
            let partition = try partition(in: results[0], row)
            standing.nextOffsets[partition] = try results[0].int64(row, 2)
        }
        for row in 0..<results[1].rowCount {
            let partition = try partition(in: results[1], row)
            standing.parked[partition, default: []].insert(try results[1].int64(row, 2))
        }
        return standing
    }

    private static func partition(in result: QueryResult, _ row: Int) throws -> TopicPartition {
        TopicPartition(topic: try result.string(row, 0), partition: try result.int32(row, 1))
    }

    private static let offsets: Statement = """
        SELECT o.topic, o.partition, o.next_offset
        FROM projection_offsets AS o JOIN projections AS p ON p.id = o.projection_id
        WHERE p.name = $1 AND p.version = $2
        """
    private static let parked: Statement = """
        SELECT e.topic, e.partition, e.record_offset
        FROM parked_events AS e JOIN projections AS p ON p.id = e.projection_id
        WHERE p.name = $1 AND p.version = $2
        """
}
