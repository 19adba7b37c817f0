public import Events
public import Postgres
public import StreamCore

/// A loaded aggregate.
public struct Loaded<State: Hashable & Sendable>: Hashable, Sendable {
    public let state: State
    /// The sequence of its last event.
    public let version: Int64
    /// The time of its last event. The next event is later, even if the clock went back.
    public let lastEventAt: Timestamp

    public init(_ state: State, version: Int64, lastEventAt: Timestamp) {
        self.state = state
        self.version = version
        self.lastEventAt = lastEventAt
    }
}

/// The changes that the commands of one transaction made to one aggregate.
public struct Change<D: Decider>: Sendable {
    public let id: String
    /// The loaded aggregate; nil if it is new.
    public let before: Loaded<D.State>?
    public let after: Loaded<D.State>
    /// At least one event, in order.
    public let events: [Event<D.Payload>]
}

/// Stores aggregates of one kind, either in tables of their state or as streams of their events.
///
/// The statements run in a transaction of the bus and contain no BEGIN or COMMIT.
public protocol Repository<D>: Sendable {
    associatedtype D: Decider

    /// The statements that read aggregates. Each statement has its own snapshot.
    ///
    /// - Parameters:
    ///   - ids: in ascending order, without duplicates.
    ///   - locking: whether the first statement locks the existing aggregates until the transaction ends, in the order
    ///     of their ids. Commands of several sessions then wait for each other instead of failing. Correctness does not
    ///     depend on the lock, because ``writes(_:)`` checks versions.
    func reads(_ ids: [String], locking: Bool) -> [(Statement, Parameters)]

    /// The aggregates by id, from the results of ``reads(_:locking:)`` in their order.
    func loaded(_ results: ArraySlice<QueryResult>) throws -> [String: Loaded<D.State>]

    /// The statements that write changes. A statement must fail if an aggregate does not have the version that was
    /// loaded, or if a new aggregate exists. A unique key or `commands_expect`, which raises SQLSTATE `CQ409`, ensures
    /// that.
    func writes(_ changes: [Change<D>]) -> [(Statement, Parameters)]
}

/// Stored data cannot be read. Either the program is older than the data, or the data is damaged.
public struct StoredStateError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    static let unplannedRead = StoredStateError("a handler reads an aggregate or fact that its read plan does not name")

    public init(_ description: String) {
        self.description = description
    }
}
