public import Events
public import Postgres
public import StreamCore

/// An aggregate as the database has it.
public struct Loaded<State: Hashable & Sendable>: Hashable, Sendable {
    public let state: State
    /// The sequence of its last event.
    public let version: Int64
    /// When its last event happened: the next one is later, whatever the clock says.
    public let lastEventAt: Timestamp

    public init(_ state: State, version: Int64, lastEventAt: Timestamp) {
        self.state = state
        self.version = version
        self.lastEventAt = lastEventAt
    }
}

/// What commands of one transaction made of one aggregate.
public struct Change<D: Decider>: Sendable {
    public let id: String
    /// As it was loaded; nil for an aggregate that is new.
    public let before: Loaded<D.State>?
    public let after: Loaded<D.State>
    /// At least one, in order.
    public let events: [Event<D.Payload>]
}

/// How aggregates of one kind are kept: in tables of their state, or as the stream of their events.
///
/// The statements are part of a transaction that the bus makes; they say nothing of BEGIN and COMMIT.
public protocol Repository<D>: Sendable {
    associatedtype D: Decider

    /// What reads aggregates, each statement by a snapshot of its own.
    ///
    /// - Parameters:
    ///   - ids: ascending, each once.
    ///   - locking: the first statement locks those that exist, in the order of their ids, until the transaction ends.
    ///     Commands of several connections so wait for each other instead of failing. What must be right is not left to
    ///     the lock: ``writes(_:)`` checks versions.
    func reads(_ ids: [String], locking: Bool) -> [(Statement, Parameters)]

    /// The aggregates by their ids, from the results of ``reads(_:locking:)`` in their order.
    func loaded(_ results: ArraySlice<QueryResult>) throws -> [String: Loaded<D.State>]

    /// What writes changes. A statement must fail when an aggregate does not have the version that it was loaded with,
    /// or exists although it is new: by a unique key, or by `commands_expect`, which raises SQLSTATE `CQ409`.
    func writes(_ changes: [Change<D>]) -> [(Statement, Parameters)]
}

/// What was stored cannot be read: the program is older than the data, or the data is damaged.
public struct StoredStateError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}
