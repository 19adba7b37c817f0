internal import Events
public import Postgres
public import StreamCore
internal import WireJSON

/// Applies the events of commands to read models, in the commands' own transactions.
///
/// Table `inline_projections` names the read models. The bus reads it in each transaction, so that all processes keep
/// the same ones from one command to the next.
public protocol InlineReadModels: Sendable {
    /// Applies events to a read model. The transaction is rolled back when this throws.
    ///
    /// - Parameters:
    ///   - events: in their order, those of one aggregate without gaps; also some that the read model does not ask for.
    ///   - version: one of those that the table names.
    func apply(_ events: [InlineEvent], to version: InlineVersion, in transaction: PostgresTransaction) async throws
}

/// A version of a read model that commands keep.
public struct InlineVersion: Hashable, Sendable, CustomStringConvertible {
    public let name: String
    public let version: Int
    /// What follows an aggregate type in lower case in the name of its topic.
    public let topicSuffix: String

    public var description: String { "\(name)@\(version)" }
}

/// An event that a command has made, as its row of the outbox has it.
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

/// A read model did not take the events of a transaction.
struct InlineFailure: Error, CustomStringConvertible {
    let version: InlineVersion
    let cause: any Error

    /// Transient: a lock, a deadlock, a statement that took too long, a lost connection. Everything: no event can be
    /// applied. Else one of the events is the reason.
    var kind: FailureKind {
        switch cause {
        case let error as PostgresError: error.kind
        case is NotApplied: .everything
        default: .permanent
        }
    }

    /// This program has nothing that applies read models.
    struct NotApplied: Error, CustomStringConvertible {
        let description = "this program takes commands, but cannot apply read models"
    }

    var description: String { "the read model \(version), which commands keep, cannot be written: \(cause)" }
}

/// The read models that the commands of one transaction keep, and the events for them.
final class InlineWork {
    /// What whoever adds or removes a read model waits for. The second statement sees what the one before waited for.
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
    /// How many of the events belong to commands that were carried out.
    private var kept = 0

    init(_ readModels: (any InlineReadModels)?) {
        self.readModels = readModels
    }

    /// Takes the answer of the last of ``reads``.
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

    /// Applies the events behind the writes of the write model, whose own failures come first.
    func apply(in transaction: PostgresTransaction) async throws {
        if events.isEmpty { return }
        try await transaction.flush()
        for version in versions {
            do {
                guard let readModels else { throw InlineFailure.NotApplied() }
                try await readModels.apply(events, to: version, in: transaction)
                // What was left queued must fail here as well.
                try await transaction.flush()
            } catch {
                throw InlineFailure(version: version, cause: error)
            }
        }
    }
}
