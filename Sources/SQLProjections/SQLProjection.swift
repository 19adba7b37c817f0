public import Kafka
public import Postgres
public import Projections
internal import StreamCore

/// A projection whose statements are SQL files.
///
/// The path of a record: ``decode(_:)`` by the envelope mapping → statements of the event's type, as the version's role
/// and in its schema → COMMIT.
public struct SQLProjection: Projection {
    public let folder: ProjectionFolder
    public var name: String { folder.name }
    public var version: Int { folder.version }
    public var topics: [String] { folder.topics }
    /// The types with their own file.
    public var eventTypes: [String] { folder.handlers.compactMap(\.type) }

    /// The role of the statements can write nothing but the version's schema.
    public let isReproducible = true

    private let enter: (Statement, Parameters)
    private let leave: [(Statement, Parameters)]
    private let sequences: SequenceTable?
    /// The statement that fails if commands apply the version; nil if this is not a daemon's projection.
    private let expectDaemon: (Statement, Parameters)?

    /// The projection for a daemon.
    ///
    /// - Parameter role: the role that runs the statements; nil for the session's role.
    public init(_ folder: ProjectionFolder, role: String?) {
        self.init(folder, role: role, schema: folder.schemaName, expectDaemon: InlineVersions.expectDaemon(of: folder))
    }

    /// The projection for a replay or for commands.
    ///
    /// - Parameter schema: the schema of the tables.
    init(_ folder: ProjectionFolder, role: String?, schema: String) {
        self.init(folder, role: role, schema: schema, expectDaemon: nil)
    }

    private init(
        _ folder: ProjectionFolder, role: String?, schema: String, expectDaemon: (Statement, Parameters)?
    ) {
        self.folder = folder
        let session = VersionSession(schema: schema, role: role)
        enter = session.enter
        leave = session.leave
        sequences = folder.strictSequence ? SequenceTable(schema: schema) : nil
        self.expectDaemon = expectDaemon
    }

    public func decode(_ record: borrowing RecordView) throws(EventFailure) -> DecodedRecord<SQLEvent> {
        let envelope = folder.policies[record.topicPartition.topic].envelope
        guard let event = try envelope.event(of: copy record) else { return .skipped(.tombstone) }
        return try folder.takes(event) ? .event(event.identity, event) : .skipped(.unknownType)
    }

    public func reads(for events: [SQLEvent]) -> [(Statement, Parameters)] {
        (sequences.map { [$0.lock(events)] } ?? []) + (expectDaemon.map { [$0] } ?? [])
    }

    public func apply(_ events: [SQLEvent], in transaction: PostgresTransaction) async throws {
        let reads = reads(for: events)
        let answers = reads.isEmpty ? [] : try await transaction.pipeline(reads)
        try await apply(events, reading: answers, in: transaction)
    }

    public func apply(
        _ events: [SQLEvent], reading answers: [QueryResult], in transaction: PostgresTransaction
    ) async throws {
        var statements: [(Statement, Parameters)] = []
        if let sequences {
            let known = try sequences.read(Array(answers.prefix(1)))
            statements.append(try sequences.advance(events, from: known))
        }
        _ = try await transaction.pipeline(statements + self.statements(for: events))
        for (statement, parameters) in leave { try await transaction.enqueue(statement, parameters) }
    }

    /// The statements for events, with their values. The first statement sets the version's role and search path until
    /// the end of the transaction.
    public func statements(for events: [SQLEvent]) -> [(Statement, Parameters)] {
        var statements = [enter]
        switch folder.mode {
        case .batch: appendBatch(events, to: &statements)
        case .event: appendEach(events, to: &statements)
        }
        return statements
    }

    private func appendBatch(_ events: [SQLEvent], to statements: inout [(Statement, Parameters)]) {
        for handler in folder.handlers {
            let own = handler.type.map { type in events.filter { $0.type == type } } ?? events
            guard !own.isEmpty else { continue }
            let arrays = SQLEvent.arrays(of: own)
            for statement in handler.statements { statements.append((statement.statement, arrays)) }
        }
    }

    private func appendEach(_ events: [SQLEvent], to statements: inout [(Statement, Parameters)]) {
        for (index, event) in events.enumerated() {
            for handler in folder.handlers where handler.type == nil || handler.type == event.type {
                for statement in handler.statements {
                    let values = event.values(of: statement.columns, position: Int64(index + 1))
                    statements.append((statement.statement, values))
                }
            }
        }
    }
}

extension SQLEvent {
    var identity: EventIdentity {
        EventIdentity(
            eventID: eventID, eventType: type, aggregateType: aggregateType, aggregateID: aggregateID,
            sequence: sequence, timestamp: occurredAt)
    }
}
