public import Commands
public import Postgres
internal import SQLProjections
internal import Synchronization

/// Applies the events of commands to read models that folders of SQL describe.
public final class InlineFolders: InlineReadModels {
    private struct Key: Hashable {
        let name: String
        let version: Int
    }

    /// The projections that were read from the database. The files of a version that commands apply do not change.
    private let known = Mutex<[Key: InlineProjection]>([:])

    public init() {}

    public func apply(
        _ events: [InlineEvent], to version: InlineVersion, in transaction: PostgresTransaction
    ) async throws {
        let projection = try await projection(Key(name: version.name, version: version.version), transaction)
        let events = events.map { SQLEvent($0, topicSuffix: version.topicSuffix) }
        try await projection.apply(events, in: transaction)
    }

    private func projection(_ key: Key, _ transaction: PostgresTransaction) async throws -> InlineProjection {
        if let found = known.withLock({ $0[key] }) { return found }
        let loaded = try await InlineProjection.load(key.name, version: key.version, in: transaction)
        known.withLock { $0[key] = loaded }
        return loaded
    }
}

extension SQLEvent {
    fileprivate init(_ event: InlineEvent, topicSuffix: String) {
        self.init(
            eventID: event.eventID, type: event.type, aggregateType: event.aggregateType,
            aggregateID: event.aggregateID, sequence: event.sequence, occurredAt: event.occurredAt,
            version: event.version, correlationID: event.correlationID, metadata: event.metadata,
            payload: event.payload, topic: event.aggregateType.lowercased() + topicSuffix)
    }
}
