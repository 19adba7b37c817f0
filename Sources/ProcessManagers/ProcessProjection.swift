public import Events
public import Postgres
public import Projections

/// A process manager as a projection. It reacts to events with commands, in the transaction that moves its offsets.
///
/// It must not be rebuilt from the beginning of the topics, because its effects are new events, which cannot be
/// discarded like rows of a read model.
public struct ProcessProjection<Policy: ProcessPolicy>: EventProjection {
    public typealias Payload = Policy.Payload

    private let engine: ProcessEngine<Policy>

    public init(_ engine: ProcessEngine<Policy>) {
        self.engine = engine
    }

    public var name: String { engine.policy.name }
    public var version: Int { 1 }
    public var topics: [String] { engine.policy.topics }

    public func apply(_ events: [Events.Event<Policy.Payload>], in transaction: PostgresTransaction) async throws {
        try await engine.handle(events, in: transaction)
    }
}
