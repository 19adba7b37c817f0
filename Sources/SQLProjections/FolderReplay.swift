public import Kafka
public import Postgres
internal import Projections
public import StreamCore

/// Verifies a version: reads the topics again up to the version's offsets, applies the events to other tables, and
/// compares these tables with the version's.
///
/// The events are applied in short transactions, in a schema that belongs to the replay. Meanwhile the version
/// continues, and the replay follows it in passes. The last pass is short: it is in one transaction with the
/// comparison, which uses one snapshot of the version and its offsets. A version that commands apply has no offsets. So
/// commands wait for that snapshot until Kafka has all events that they have applied.
///
/// The schema is dropped at the end. If the replay is killed, the next replay or the drop of the version drops the
/// schema.
public struct FolderReplay: Sendable {
    /// The reason why a version cannot be compared.
    public struct Failure: Error, Sendable, CustomStringConvertible, RemediableError {
        public let description: String
        /// Whether the failure proves that the version's content is wrong; false if this is unknown.
        public var isDifference = false
        public var remedy: Remedy { .changeSetup }
    }

    /// The limits of a replay's steps.
    struct Bounds: Sendable {
        /// Maximum number of events in a transaction.
        var transactionEvents = 1_000
        /// Maximum number of records in the last pass, which is read within the transaction of the comparison.
        var lastRecords: Int64 = 10_000
        /// Number of passes after which the replay fails, because the version is applied faster than it is replayed.
        var passes = 20
        /// Maximum time for which commands wait, in milliseconds.
        var holdMs = 3_000
    }

    private let schema: VersionSchema
    private let postgres: PostgresConfiguration
    private let kafka: KafkaClientConfiguration
    private let bounds: Bounds

    private static let patienceMs = 30_000

    public init(_ schema: VersionSchema, _ postgres: PostgresConfiguration, kafka: KafkaClientConfiguration) {
        self.init(schema, postgres, kafka: kafka, bounds: Bounds())
    }

    init(
        _ schema: VersionSchema, _ postgres: PostgresConfiguration, kafka: KafkaClientConfiguration, bounds: Bounds
    ) {
        self.schema = schema
        self.postgres = postgres
        self.kafka = kafka
        self.bounds = bounds
    }

    /// Compares the folder's version.
    ///
    /// - Returns: a comparison for each table, ordered by name.
    /// - Throws: ``Failure`` if the events cannot be read or applied again; ``VersionSchema/Refusal`` if the version
    ///   does not exist or uses other files; `PostgresError`, `KafkaError`.
    public func run() async throws -> [TableComparison] {
        var configuration = postgres
        // The comparison and the drop of large tables may take long.
        configuration.statementTimeoutMs = 0
        configuration.idleInTransactionTimeoutMs = 0
        configuration.settings["synchronous_commit"] = "off"
        // The tables are empty at first, so a cached plan would become slow.
        configuration.settings["plan_cache_mode"] = "force_custom_plan"
        return try await PostgresConnection.with(configuration) { try await run(on: $0) }
    }

    private func run(on connection: PostgresConnection) async throws -> [TableComparison] {
        try await connection.withTransaction { try await schema.compare(in: $0) }
        try await dropAbandoned(connection)
        let replay = try await ReplaySchema.make(for: schema, on: connection)
        let comparisons: [TableComparison]
        do {
            comparisons = try await compare(with: replay, connection)
        } catch {
            // If this fails too, the next replay drops it.
            try? await replay.drop(connection)
            throw error
        }
        try await replay.drop(connection)
        // The session of a replay that was killed recently may have ended by now.
        try await dropAbandoned(connection)
        return comparisons
    }

    private func dropAbandoned(_ connection: PostgresConnection) async throws {
        try await connection.withTransaction { try await ReplaySchema.dropAbandoned(of: schema.folder.name, in: $0) }
    }

    private func compare(
        with replay: ReplaySchema, _ connection: PostgresConnection
    ) async throws -> [TableComparison] {
        let projection = SQLProjection(schema.folder, role: schema.role, schema: replay.name)
        var position = ReplayPosition()
        for number in 0... {
            let (applied, decisions) = try await connection.withTransaction(isolation: .repeatableRead) { transaction in
                try await state(in: transaction)
            }
            let pass = try pass(position, to: applied)
            if pass.count <= bounds.lastRecords, let tables = try await last(position, replay, connection) {
                return tables
            }
            guard number < bounds.passes else { break }
            try await read(pass, DecidedProjection(projection, decisions)) { events in
                try await connection.withTransaction { try await apply(events, projection, to: replay, in: $0) }
            }
            position.passed(to: applied)
        }
        throw Failure(
            description: """
                after \(bounds.passes) passes, version \(schema.folder.version) of \(schema.folder.name) is still more \
                than \(bounds.lastRecords) records ahead of its replay: verify it when fewer events arrive
                """)
    }

    /// The last pass and the comparison.
    ///
    /// - Returns: nil, without doing anything, if more new records exist than one transaction may read.
    private func last(
        _ position: ReplayPosition, _ replay: ReplaySchema, _ connection: PostgresConnection
    ) async throws -> [TableComparison]? {
        let projection = SQLProjection(schema.folder, role: schema.role, schema: replay.name)
        return try await connection.withTransaction(isolation: .repeatableRead) { transaction in
            let (applied, decisions) = try await lastState(in: transaction)
            let pass = try pass(position, to: applied)
            guard pass.count <= bounds.lastRecords else { return nil }
            try await read(pass, DecidedProjection(projection, decisions)) { events in
                try await apply(events, projection, to: replay, in: transaction)
            }
            return try await TableComparison.all(
                of: schema.folder.schemaName, with: replay.name, ignoring: schema.folder.uncheckedColumns,
                in: transaction)
        }
    }

    /// The offsets that the version has applied, in the snapshot of the transaction.
    private func lastState(in transaction: PostgresTransaction) async throws -> (AppliedRanges, EventDecisions) {
        var session = postgres
        session.statementTimeoutMs = bounds.holdMs
        return try await PostgresConnection.with(session) { connection in
            try await connection.withTransaction { holding in
                guard let suffix = try await InlineVersions.topicSuffix(of: schema.folder, in: holding) else {
                    return try await state(in: transaction)
                }
                let deadline = ContinuousClock.now + .milliseconds(bounds.holdMs)
                let topics = schema.folder.topics
                let writers = try await HeldWriters(topics, topicSuffix: suffix, in: holding)
                do {
                    try await writers.drained(until: deadline)
                } catch let busy as HeldWriters.Busy {
                    throw Failure(
                        description: """
                            the outbox still has \(busy.rows) events of \(schema.folder.name) after \(bounds.holdMs) \
                            ms without commands: check that the relay is running, and run `millrace outbox failed \
                            list`
                            """)
                }
                return try await state(in: transaction)
            }
        }
    }

    private func state(in transaction: PostgresTransaction) async throws -> (AppliedRanges, EventDecisions) {
        // This is the first statement, so it determines the snapshot.
        let isInline = try await InlineVersions.topicSuffix(of: schema.folder, in: transaction) != nil
        let decisions = try await EventDecisions.load(of: schema.folder.name, in: transaction)
        guard isInline else { return (try await AppliedRanges(of: schema.folder, in: transaction), decisions) }
        // Commands have applied all events in Kafka.
        let ends = try await KafkaAdmin(kafka).ranges(of: schema.folder.topics).mapValues(\.upperBound)
        return (try await AppliedRanges(of: schema.folder, to: ends, in: transaction), decisions)
    }

    private func pass(_ position: ReplayPosition, to applied: AppliedRanges) throws -> ReplayPosition.Pass {
        do {
            return try position.pass(to: applied)
        } catch {
            throw Failure(
                description: """
                    \(error.partition) of version \(schema.folder.version) of \(schema.folder.name) went back to an \
                    earlier offset during the verification: verify it again
                    """)
        }
    }

    /// Reads a pass from Kafka, and passes its events to `write` in their order.
    private func read(
        _ pass: ReplayPosition.Pass, _ projection: DecidedProjection<SQLProjection>,
        _ write: ([SQLEvent]) async throws -> Void
    ) async throws {
        var events: [SQLEvent] = []
        func writeWhatIsThere(isAll: Bool) async throws {
            while events.count >= bounds.transactionEvents || (isAll && !events.isEmpty) {
                try await write(Array(events.prefix(bounds.transactionEvents)))
                events.removeFirst(min(bounds.transactionEvents, events.count))
            }
        }
        do {
            try await RangeReader(kafka, silenceTimeoutMs: Self.patienceMs).read(pass.ranges) {
                try await writeWhatIsThere(isAll: false)
            } _: { record in
                guard pass.applies(record.topicPartition, record.offset),
                    case .event(_, let event) = try projection.decode(record)
                else { return }
                events.append(event)
            }
            try await writeWhatIsThere(isAll: true)
        } catch RangeReader.Trouble.gone(let partition) {
            throw Failure(description: "Kafka no longer has all events of \(partition) that the version has applied")
        } catch RangeReader.Trouble.silent(let partition, let milliseconds) {
            throw Failure(description: "no record of \(partition) arrived for \(milliseconds / 1_000) s")
        } catch let failure as EventFailure {
            throw Self.notApplicable("\(failure)")
        } catch let error as PostgresError where error.kind == .permanent {
            throw Self.notApplicable("\(error)")
        }
    }

    private static func notApplicable(_ reason: String) -> Failure {
        Failure(
            description: "an event that the version has passed cannot be applied again: \(reason)", isDifference: true)
    }

    private func apply(
        _ events: [SQLEvent], _ projection: SQLProjection, to replay: ReplaySchema, in transaction: PostgresTransaction
    ) async throws {
        let new = try await replay.firstSeen(events, in: transaction)
        if new.isEmpty { return }
        try await projection.apply(new, in: transaction)
        try await transaction.flush()
    }
}
