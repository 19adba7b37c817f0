public import Postgres
internal import Projections
public import StreamCore

/// A version that commands apply in their own transactions, with the files that the database stores.
///
/// It runs the same code as a daemon: the folder's statements, as the version's own role and in its schema. The event
/// comes from the command and not from a record, so partition and offset are both -1.
public struct InlineProjection: Sendable {
    private let folder: ProjectionFolder
    private let projection: SQLProjection
    private let topics: Set<String>

    /// - Parameter transaction: its search path must contain the tables of the runtime.
    /// - Throws: the errors of ``StoredFolder/load(_:version:on:)``.
    public static func load(
        _ name: String, version: Int, in transaction: PostgresTransaction
    ) async throws -> InlineProjection {
        let folder = try await StoredFolder.load(name, version: version, in: transaction)
        let isIsolated = try await VersionSchema.isIsolated(folder, in: transaction)
        return InlineProjection(VersionSchema(folder, isIsolated: isIsolated))
    }

    init(_ schema: VersionSchema) {
        folder = schema.folder
        projection = SQLProjection(schema.folder, role: schema.role, schema: schema.name)
        topics = Set(folder.topics)
    }

    /// Applies events in order. Events of other topics and types without a statement are skipped.
    ///
    /// - Throws: `EventFailure` if the folder must know the type and does not, or if a sequence is not the next one;
    ///   `PostgresError`.
    public func apply(_ events: [SQLEvent], in transaction: PostgresTransaction) async throws {
        var own: [SQLEvent] = []
        for event in events where topics.contains(event.topic) {
            if try folder.takes(event) { own.append(event) }
        }
        if own.isEmpty { return }
        try await projection.apply(own, in: transaction)
    }

    /// The reason why commands cannot apply a folder; nil if they can.
    static func obstacle(_ folder: ProjectionFolder) -> String? {
        folder.readsPlainEvents
            ? nil
            : "its [envelope], or that of a topic, is not that of Millrace's own events; commands create only those"
    }
}

extension SQLEvent {
    /// An event that has no record yet.
    public init(
        eventID: EventID, type: String, aggregateType: String, aggregateID: String, sequence: Int64,
        occurredAt: Timestamp, version: Int32, correlationID: String?, metadata: [UInt8], payload: [UInt8],
        topic: String
    ) {
        self.eventID = eventID
        self.type = type
        self.aggregateType = aggregateType
        self.aggregateID = aggregateID
        self.sequence = sequence
        self.occurredAt = occurredAt
        self.version = version
        self.correlationID = correlationID
        self.metadata = metadata
        self.payload = payload
        self.topic = topic
        partition = -1
        offset = -1
    }
}
