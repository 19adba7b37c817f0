public import Events
public import Kafka
public import Postgres
public import StreamCore

/// A read model, and how events change its rows. ``ProjectionRunner`` does everything else: the consumer group,
/// offsets, duplicates, transactions, failures and rebalances.
///
/// A new `version` is a new read model beside the old one. It has its own consumer group and its own offsets, and
/// begins at the start of the topics.
public protocol Projection: Sendable {
    /// The event type that ``decode(_:)`` returns and ``apply(_:in:)`` applies.
    associatedtype Event: Sendable

    /// The name, for example `order-summary`: constant, in lower case. It is part of the consumer group's name.
    var name: String { get }
    /// The version of the read model, from 1. A new version is built from the beginning of the topics.
    var version: Int { get }
    /// The topics to read.
    var topics: [String] { get }
    /// Whether the runner records event ids, so that ``apply(_:in:)`` never receives an event twice. The default is
    /// true. It can be false if the projection's tables show which events they contain, so that applying an event twice
    /// has no further effect. The runner records ids anyway if parked events block their keys.
    var remembersEvents: Bool { get }
    /// Whether ``apply(_:in:)`` only queues statements (`PostgresTransaction.enqueue`). The runner then sends them in
    /// one round trip with its own statements if there are few events. It may then pass events that were applied
    /// before, but it rolls that transaction back. The default is false.
    var onlyQueues: Bool { get }
    /// Whether ``apply(_:in:)`` writes only the read model, which the topics can reproduce. The runner then does not
    /// wait until a transaction is on the server's disk (`synchronous_commit = off`, unless the configuration sets
    /// another value). If the server crashes, it may lose the latest transactions as a whole, and the runner applies
    /// their events again. It must be false if others use the changes, for example rows of an outbox. The default is
    /// false.
    var isReproducible: Bool { get }
    /// The domain of the events, for tools that check a corrected event before it is sent. The default checks only the
    /// envelope.
    var codec: EventCodec { get }
    /// The types of the events, for the metric that counts events by type. Other types count as `other`. Empty by
    /// default.
    var eventTypes: [String] { get }

    /// Decodes one record.
    ///
    /// It is called for one record at a time, in the order of offsets within a partition, and not on the database's
    /// thread. It must not block. The record is borrowed, so copy what must be kept. The key and the value may be nil,
    /// which is not the same as empty; a nil value is a tombstone.
    ///
    /// - Returns: an event with its identity, or the reason why the read model skips the record.
    /// - Throws: ``EventFailure`` if the record can never be decoded.
    func decode(_ record: borrowing RecordView) throws(EventFailure) -> DecodedRecord<Event>

    /// Writes the changes of events in the runner's transaction.
    ///
    /// The runner passes many events at once, each only once, and only events that were not applied before, as far as
    /// it records that. They are in the order of their offsets within a partition, and therefore in order within an
    /// aggregate. Use set-based statements on arrays rather than one statement for each event. Queue a last statement
    /// whose result is not needed (`PostgresTransaction.enqueue`). After an error the transaction is rolled back, and
    /// the method may be called again with the same events or a part of them. It must therefore have no effects outside
    /// `transaction`.
    ///
    /// - Throws: any error. The transaction is rolled back. For a `PostgresError` its `kind` decides what happens then.
    ///   An ``EventFailure`` means that one of these events can never be applied. Every other error counts as a
    ///   permanent error of one event, which is found by splitting the batch.
    func apply(_ events: [Event], in transaction: PostgresTransaction) async throws

    /// The statements that read the stored rows that ``apply(_:reading:in:)`` needs. They are sent with the runner's
    /// own first round trip. Empty by default.
    ///
    /// - Parameter events: the events that may be applied. Some of them may turn out to be duplicates.
    func reads(for events: [Event]) -> [(Statement, Parameters)]

    /// Like ``apply(_:in:)``, with the results of ``reads(for:)``. The default calls ``apply(_:in:)``.
    ///
    /// - Parameter answers: the results of the statements. They were read in this transaction after the offsets of the
    ///   events were claimed, for these events and possibly more. Nothing was written since.
    func apply(_ events: [Event], reading answers: [QueryResult], in transaction: PostgresTransaction) async throws
}

extension Projection {
    public var remembersEvents: Bool { true }

    public var onlyQueues: Bool { false }

    public var isReproducible: Bool { false }

    public var codec: EventCodec { .envelope }

    public var eventTypes: [String] { [] }

    public func reads(for events: [Event]) -> [(Statement, Parameters)] { [] }

    public func apply(
        _ events: [Event], reading answers: [QueryResult], in transaction: PostgresTransaction
    ) async throws {
        try await apply(events, in: transaction)
    }
}

/// The result of decoding a record.
public enum DecodedRecord<Event: Sendable>: Sendable {
    /// An event for the read model.
    case event(EventIdentity, Event)
    /// The record has no event for the read model. Its offset passes and it is counted by its reason, but nothing is
    /// written.
    case skipped(SkipReason)
}

/// Why a record was skipped. It is a label of a metric, so it must come from a small fixed set, never from a record.
public struct SkipReason: Hashable, Sendable {
    /// The name in `snake_case`, as in the metric.
    public let name: String

    /// - Parameter name: a literal in `snake_case`.
    public init(_ name: StaticString) {
        self.name = "\(name)"
    }

    /// The record has no value.
    public static let tombstone = SkipReason("tombstone")
    /// The projection does not know the event type, and skips unknown types.
    public static let unknownType = SkipReason("unknown_type")
}

/// A single event can never be decoded or applied.
public struct EventFailure: Error, Hashable, Sendable {
    /// The class of the failure, for grouping and as a label of a metric. It must come from a small fixed set, never
    /// from a record; for example `invalid_json` or `unknown_version`.
    public let errorClass: String
    /// What is wrong, for people. It is logged, so it must not contain values from the record.
    public let message: String
    /// The event's id, if it could be read.
    public let eventID: EventID?

    /// - Parameters:
    ///   - errorClass: a class in `snake_case` from a small fixed set.
    ///   - message: what is wrong, without values from the record.
    ///   - eventID: the event's id, if it could be read.
    public init(_ errorClass: String, _ message: String, eventID: EventID? = nil) {
        self.errorClass = errorClass
        self.message = message
        self.eventID = eventID
    }
}

extension EventFailure: CustomStringConvertible {
    public var description: String { "\(errorClass): \(message)" }
}
