internal import Events
public import Postgres
public import StreamCore
internal import WireJSON

/// Applies the events of commands to read models, in the commands' own transactions.
///
/// The table `inline_projections` names the read models. The bus reads it in each transaction, so all processes switch
/// to a changed set at the same time.
public protocol InlineReadModels: Sendable {
    /// Applies events to a read model. If this throws, the transaction is rolled back.
    ///
    /// - Parameters:
    ///   - events: the events in order. Those of one aggregate have no gaps. They include events that the read model
    ///     does not use.
    ///   - version: a version that the table names.
    func apply(_ events: [InlineEvent], to version: InlineVersion, in transaction: PostgresTransaction) async throws
}

/// A version of a read model that commands update.
public struct InlineVersion: Hashable, Sendable, CustomStringConvertible {
    public let name: String
    public let version: Int
    /// The part of a topic's name after the aggregate type in lower case.
    public let topicSuffix: String

    public var description: String { "\(name)@\(version)" }
}

/// An event of a command, with the values of its outbox row.
public struct InlineEvent: Sendable {
    public let eventID: EventID
    public let type: String
    public let aggregateType: String
    public let aggregateID: String
    public let sequence: Int64
    public let occurredAt: Timestamp
    public let version: Int32
    public let correlationID: String?
    /// JSON.
    public let metadata: [UInt8]
    /// JSON.
    public let payload: [UInt8]

    init(_ event: Event<some EventPayload>) {
        eventID = event.identity.eventID
        type = event.type.rawValue
        aggregateType = event.aggregateType.rawValue
        aggregateID = event.identity.aggregateID
        sequence = event.identity.sequence
        occurredAt = event.identity.timestamp
        version = Int32(event.type.currentVersion)
        correlationID = event.correlationID
        var json = JSONWriter()
        event.metadata.write(to: &json)
        metadata = json.finish()
        json = JSONWriter()
        event.payload.write(to: &json)
        payload = json.finish()
    }
}

/// The events of a transaction could not be applied to a read model.
struct InlineFailure: Error, CustomStringConvertible {
    let version: InlineVersion
    let cause: any Error

    /// `transient` for a lock timeout, a deadlock, a statement timeout or a lost connection. `everything` if no event
    /// can be applied. Otherwise one of the events is the reason.
    var kind: FailureKind {
        switch cause {
        case let error as PostgresError: error.kind
        case is NotApplied: .everything
        default: .permanent
        }
    }

    /// The error for the code that opened the transaction. An error of the database keeps its code and its SQLSTATE,
    /// and names the read model.
    var inTransaction: any Error {
        switch cause {
        case let error as PostgresError: PostgresError(error.code, description, sqlState: error.sqlState)
        case is NotApplied: PostgresError(.usage, description)
        default: self
        }
    }

    /// This program cannot apply read models.
    struct NotApplied: Error, CustomStringConvertible {
        let description = "this program accepts commands but cannot apply read models"
    }

    var description: String { "the read model \(version), which commands update, cannot be written: \(cause)" }
}

/// The read models that the commands of one transaction update, and the events for them.
final class InlineWork {
    /// The first statement takes the shared lock, for which a process waits that adds or removes a read model. The
    /// second statement has a newer snapshot, which contains that process's change.
    static let reads: Statements = [
        (
            """
            SELECT pg_advisory_xact_lock_shared(hashtextextended('millrace inline projections ' || current_schema(), 0))
            """, Parameters()
        ),
        ("SELECT name, version, topic_suffix FROM inline_projections ORDER BY name", Parameters()),
    ]

    private let readModels: (any InlineReadModels)?
    private var versions: [InlineVersion] = []
    private var events: [InlineEvent] = []
    /// The number of events of commands that were carried out.
    private var kept = 0

    init(_ readModels: (any InlineReadModels)?) {
        self.readModels = readModels
    }

    /// Takes the result of the last of ``reads``.
    func take(_ rows: QueryResult) throws {
        versions = try (0..<rows.rowCount).map { row in
            InlineVersion(
                name: try rows.string(row, 0), version: Int(try rows.int32(row, 1)),
                topicSuffix: try rows.string(row, 2))
        }
    }

    func append(_ event: Event<some EventPayload>) {
        if !versions.isEmpty { events.append(InlineEvent(event)) }
    }

    func keepStep() {
        kept = events.count
    }

    func undoStep() {
        events.removeSubrange(kept...)
    }

    /// Applies the events after the writes of the write model, so that errors of those writes are reported first.
    func apply(in transaction: PostgresTransaction) async throws {
        if events.isEmpty { return }
        try await transaction.flush()
        for version in versions {
            do {
                guard let readModels else { throw InlineFailure.NotApplied() }
                try await readModels.apply(events, to: version, in: transaction)
                // Errors of statements that are still queued must also occur here.
                try await transaction.flush()
            } catch {
                throw InlineFailure(version: version, cause: error)
            }
        }
    }
}
