public import Events
public import Kafka
public import Postgres

/// A projection that respects operators' decisions about single events when it reads them for the first time.
public struct DecidedProjection<Base: Projection>: Projection {
    private let base: Base
    private let decisions: EventDecisions

    public init(_ base: Base, _ decisions: EventDecisions) {
        self.base = base
        self.decisions = decisions
    }

    public var name: String { base.name }
    public var version: Int { base.version }
    public var topics: [String] { base.topics }
    public var remembersEvents: Bool { base.remembersEvents }
    public var onlyQueues: Bool { base.onlyQueues }
    public var isReproducible: Bool { base.isReproducible }
    public var codec: EventCodec { base.codec }
    public var eventTypes: [String] { base.eventTypes }

    public func decode(_ record: borrowing RecordView) throws(EventFailure) -> DecodedRecord<Base.Event> {
        guard decisions.count > 0 else { return try base.decode(record) }
        let partition = record.topicPartition
        let offset = record.offset
        switch decisions.decision(on: partition, offset: offset, timestampMs: record.timestampMs) {
        case nil: return try base.decode(record)
        case .discarded: return .skipped(.discarded)
        case .corrected(let value):
            return try base.decode((copy record).standing(for: partition, offset: offset, value: value))
        }
    }

    public func reads(for events: [Base.Event]) -> [(Statement, Parameters)] { base.reads(for: events) }

    public func apply(_ events: [Base.Event], in transaction: PostgresTransaction) async throws {
        try await base.apply(events, in: transaction)
    }

    public func apply(
        _ events: [Base.Event], reading answers: [QueryResult], in transaction: PostgresTransaction
    ) async throws {
        try await base.apply(events, reading: answers, in: transaction)
    }
}

extension SkipReason {
    /// An operator discarded the event before this version read it.
    public static let discarded = SkipReason("discarded")
}
