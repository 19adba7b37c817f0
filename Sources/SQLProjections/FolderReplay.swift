public import Kafka
public import Postgres
internal import Projections
public import StreamCore

/// Says whether a version has what its events come to: reads the topics again, up to the version's own offsets, applies
/// the events to other tables, and compares these with the version's.
///
/// All of it is one transaction, which sees the version as it was at its beginning and is rolled back at the end. The
/// daemons go on all the while, and nothing is left behind, whatever ends it. The transaction is open for as long as
/// the topics take to read.
public struct FolderReplay: Sendable {
    /// Why a version cannot be compared.
    public struct Failure: Error, Sendable, CustomStringConvertible, RemediableError {
        public let description: String
        public var remedy: Remedy { .changeSetup }
    }

    /// Ends the transaction.
    private struct TakenBack: Error {}

    private let schema: VersionSchema
    private let postgres: PostgresConfiguration
    private let kafka: KafkaClientConfiguration

    private static let batchSize = 1_000
    private static let patienceMs = 30_000

    public init(_ schema: VersionSchema, _ postgres: PostgresConfiguration, kafka: KafkaClientConfiguration) {
        self.schema = schema
        self.postgres = postgres
        self.kafka = kafka
    }

    /// Compares the folder's version.
    ///
    /// - Returns: a comparison for each table, by name.
    /// - Throws: ``Failure`` when the events cannot be read or applied again; ``VersionSchema/Refusal`` when the
    ///   version is not there or is run with other files; `PostgresError`, `KafkaError`.
    public func run() async throws -> [TableComparison] {
        var configuration = postgres
        configuration.statementTimeoutMs = 0
        configuration.idleInTransactionTimeoutMs = 0
        return try await PostgresConnection.with(configuration) { try await compare($0) }
    }

    private func compare(_ connection: PostgresConnection) async throws -> [TableComparison] {
        try await connection.withTransaction { try await schema.compare(in: $0) }
        let decisions = try await EventDecisions.load(of: schema.folder.name, on: connection)
        var comparisons: [TableComparison] = []
        do {
            try await connection.withTransaction(isolation: .repeatableRead) { transaction in
                let standing = try await ReplayedRange.all(of: schema.folder, in: transaction)
                let replay = "millrace_replay_" + String(UInt64.random(in: .min ... .max), radix: 36)
                try await schema.build(replay, nil, transaction)
                try await apply(standing, decisions, to: replay, in: transaction)
                comparisons = try await TableComparison.all(
                    of: schema.folder.schemaName, with: replay, ignoring: schema.folder.uncheckedColumns,
                    in: transaction)
                throw TakenBack()
            }
        } catch is TakenBack {}
        return comparisons
    }

    private func apply(
        _ standing: [TopicPartition: ReplayedRange], _ decisions: EventDecisions, to replay: String,
        in transaction: PostgresTransaction
    ) async throws {
        let projection = SQLProjection(schema.folder, role: schema.role, schema: replay)
        let decided = DecidedProjection(projection, decisions)
        let memory = try await ReplayedEvents(replay, in: transaction)
        var events: [SQLEvent] = []
        func applyWhatIsThere() async throws {
            let new = try await memory.firstSeen(of: events)
            events = []
            if new.isEmpty { return }
            try await projection.apply(new, in: transaction)
            try await transaction.flush()
        }
        do {
            try await RangeReader(kafka, silenceTimeoutMs: Self.patienceMs).read(standing.mapValues(\.offsets)) {
                if events.count >= Self.batchSize { try await applyWhatIsThere() }
            } _: { record in
                if standing[record.topicPartition]?.parked.contains(record.offset) == true { return }
                guard case .event(_, let event) = try decided.decode(record) else { return }
                events.append(event)
            }
            try await applyWhatIsThere()
        } catch RangeReader.Trouble.gone(let partition) {
            throw Failure(description: "Kafka no longer has all events of \(partition) that the version has applied")
        } catch RangeReader.Trouble.silent(let partition, let milliseconds) {
            throw Failure(description: "no record of \(partition) came for \(milliseconds / 1_000) s")
        } catch let failure as EventFailure {
            throw Failure(description: "an event that the version has passed cannot be applied again: \(failure)")
        } catch let error as PostgresError where error.kind == .permanent {
            throw Failure(description: "an event that the version has passed cannot be applied again: \(error)")
        }
    }
}

/// What a version has applied of one partition.
private struct ReplayedRange {
    var offsets: Range<Int64>
    /// Offsets in the range that were not applied, because they are parked.
    var parked: Set<Int64> = []

    static func all(
        of folder: ProjectionFolder, in transaction: PostgresTransaction
    ) async throws -> [TopicPartition: ReplayedRange] {
        let key = Parameters {
            $0.append(folder.name)
            $0.append(Int32(folder.version))
        }
        let results = try await transaction.pipeline([(offsets, key), (parked, key)])
        var ranges: [TopicPartition: ReplayedRange] = [:]
        for row in 0..<results[0].rowCount {
            let partition = try partition(in: results[0], row)
            guard folder.topics.contains(partition.topic) else { continue }
            let start = try results[0].int64(row, 2)
            ranges[partition] = ReplayedRange(offsets: start..<max(start, try results[0].int64(row, 3)))
        }
        for row in 0..<results[1].rowCount {
            ranges[try partition(in: results[1], row)]?.parked.insert(try results[1].int64(row, 2))
        }
        return ranges
    }

    private static func partition(in result: QueryResult, _ row: Int) throws -> TopicPartition {
        TopicPartition(topic: try result.string(row, 0), partition: try result.int32(row, 1))
    }

    private static let offsets: Statement = """
        SELECT o.topic, o.partition, coalesce(r.start_offset, 0), o.next_offset
        FROM projection_offsets AS o JOIN projections AS p ON p.id = o.projection_id
        LEFT JOIN rebuild_ranges AS r
            ON r.name = p.name AND r.version = p.version AND r.topic = o.topic AND r.partition = o.partition
        WHERE p.name = $1 AND p.version = $2
        """
    private static let parked: Statement = """
        SELECT e.topic, e.partition, e.record_offset
        FROM parked_events AS e JOIN projections AS p ON p.id = e.projection_id
        WHERE p.name = $1 AND p.version = $2
        """
}

/// Which events a replay has applied: an event that comes again counts once, as it does in the version.
private struct ReplayedEvents {
    private let transaction: PostgresTransaction
    private let insert: Statement

    /// - Parameter schema: where the memory is made.
    init(_ schema: String, in transaction: PostgresTransaction) async throws(PostgresError) {
        self.transaction = transaction
        let table = "\(SQLIdentifier.quoted(schema)).millrace_replayed_events"
        // The schema may belong to the version's role; the replay's own user has to write here.
        try await transaction.execute(script: "CREATE TABLE \(table) (event_id uuid PRIMARY KEY)")
        insert = .unprepared(
            "INSERT INTO \(table) SELECT * FROM unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING event_id")
    }

    /// The events that were not among those of an earlier call, each once.
    func firstSeen(of events: [SQLEvent]) async throws(PostgresError) -> [SQLEvent] {
        if events.isEmpty { return [] }
        var ids = UUIDArray()
        for event in events { ids.append(event.eventID) }
        let result = try await transaction.execute(insert, Parameters { $0.append(ids) })
        var new: Set<EventID> = []
        for row in 0..<result.rowCount { new.insert(try result.eventID(row, 0)) }
        return events.filter { new.remove($0.eventID) != nil }
    }
}
