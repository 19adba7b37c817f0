public import Events
public import Kafka
public import Postgres
public import StreamCore

/// A read model and how events become rows of it. All else — the consumer group, offsets, duplicates, transactions,
/// failures, rebalances — is ``ProjectionRunner``'s.
///
/// A new `version` is a new read model beside the old one: it has its own consumer group and its own offsets, and
/// begins at the start of the topics.
public protocol Projection: Sendable {
    /// What ``decode(_:)`` makes of a record's value and ``apply(_:in:)`` turns into SQL.
    associatedtype Event: Sendable

    /// `order-summary` and the like: stable, lower case; part of the consumer group's name.
    var name: String { get }
    /// The read model's version, from 1. Changing it rebuilds the read model from the beginning of the topics.
    var version: Int { get }
    /// The topics to read.
    var topics: [String] { get }
    /// Whether the runner remembers each event, so that ``apply(_:in:)`` never sees one again. True if not said
    /// otherwise. False for a projection whose tables tell what they have of an event, so that to apply it twice is to
    /// apply it once; the runner remembers nevertheless where parked events block their keys.
    var remembersEvents: Bool { get }
    /// What its events are, for tools that check a corrected event before it is sent. If not said otherwise, only the
    /// envelope is looked at.
    var codec: EventCodec { get }
    /// The types of its events, for the metric that counts them by type. Events of any other type count as `other`. If
    /// not said otherwise, there are none.
    var eventTypes: [String] { get }

    /// Reads one record.
    ///
    /// Called off the database's thread, for one record at a time, in the order of offsets within a partition; it must
    /// not block. The record is borrowed: copy what is to be kept. Its key and value may be nil (a tombstone), which
    /// is not the same as empty.
    ///
    /// - Returns: an event with its identity, or the reason why this record is none of this read model's business.
    /// - Throws: ``EventFailure`` when this record can never be read, however often it is tried.
    func decode(_ record: borrowing RecordView) throws(EventFailure) -> DecodedRecord<Event>

    /// Writes what the events change, in the runner's transaction.
    ///
    /// The runner calls it with events that were not applied before, as far as it remembers them, each once, in the
    /// order of their offsets within a partition (and so in order within an aggregate), many at a time: set-based
    /// statements over arrays, not a statement an event. A last statement whose result is not needed is best left
    /// queued (`PostgresTransaction.enqueue`). It may be called again with the same events, or with parts of them,
    /// after it threw: the transaction was rolled back, so it must not keep effects outside of `transaction`.
    ///
    /// - Throws: any error; the transaction is rolled back. A `PostgresError` decides by its `kind` what happens then;
    ///   an ``EventFailure`` says that one of these events can never be applied; every other error counts as
    ///   permanent for one event of the batch, which is found by splitting the batch.
    func apply(_ events: [Event], in transaction: PostgresTransaction) async throws

    /// What ``apply(_:reading:in:)`` has to know of the stored rows, for it to be read in the runner's own first round
    /// trip. None if not said otherwise.
    ///
    /// - Parameter events: those that may be applied; some may turn out to have been before.
    func reads(for events: [Event]) -> [(Statement, Parameters)]

    /// As ``apply(_:in:)``, which it is if not said otherwise, with the answers to ``reads(for:)``.
    ///
    /// - Parameter answers: asked in this transaction, after the offsets of the events were claimed, for these events
    ///   and maybe more. Nothing was written since.
    func apply(_ events: [Event], reading answers: [QueryResult], in transaction: PostgresTransaction) async throws
}

extension Projection {
    public var remembersEvents: Bool { true }

    public var codec: EventCodec { .envelope }

    public var eventTypes: [String] { [] }

    public func reads(for events: [Event]) -> [(Statement, Parameters)] { [] }

    public func apply(
        _ events: [Event], reading answers: [QueryResult], in transaction: PostgresTransaction
    ) async throws {
        try await apply(events, in: transaction)
    }
}

/// What a record turned out to be.
public enum DecodedRecord<Event: Sendable>: Sendable {
    /// An event for the read model.
    case event(EventIdentity, Event)
    /// Nothing for the read model: its offset passes, it is counted by its reason, nothing is written.
    case skipped(SkipReason)
}

/// Why a record was passed over. A label of a metric: a fixed, small set of values, never text from a record.
public struct SkipReason: Hashable, Sendable {
    /// `snake_case`, as the metric shows it.
    public let name: String

    /// - Parameter name: `snake_case`, a literal.
    public init(_ name: StaticString) {
        self.name = "\(name)"
    }

    /// The record has no value.
    public static let tombstone = SkipReason("tombstone")
    /// The event type is none that the projection knows, and its policy is to ignore those.
    public static let unknownType = SkipReason("unknown_type")
}

/// One event can never be decoded or applied, whatever is tried.
public struct EventFailure: Error, Hashable, Sendable {
    /// The class of the failure, for grouping and as a metric's label: a fixed, small set of values, never text from
    /// a record. `invalid_json`, `unknown_version` …
    public let errorClass: String
    /// What is wrong, for people. No values from the record: it is logged.
    public let message: String
    /// The event's id, when as much could be read of it.
    public let eventID: EventID?

    /// - Parameters:
    ///   - errorClass: `snake_case`, from a fixed, small set.
    ///   - message: what is wrong, without values from the record.
    ///   - eventID: the event's id, when as much could be read.
    public init(_ errorClass: String, _ message: String, eventID: EventID? = nil) {
        self.errorClass = errorClass
        self.message = message
        self.eventID = eventID
    }
}

extension EventFailure: CustomStringConvertible {
    public var description: String { "\(errorClass): \(message)" }
}
