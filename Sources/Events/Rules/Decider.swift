/// The rules of one kind of aggregate as two pure functions: what a command makes happen, and what an event makes of
/// the state. They read no clock and do no I/O; what they must know of the world is in the facts.
public protocol Decider: SendableMetatype {
    /// All that the rules and the answers need of an aggregate.
    associatedtype State: Hashable, Sendable
    associatedtype Command: Sendable
    associatedtype Payload: EventPayload
    associatedtype Rules: Rule
    /// What a decision needs beside the aggregate: whether a customer is known, a limit.
    associatedtype Facts: Sendable = Void

    /// What kind of aggregate it is.
    static var kind: Payload.Kind.Aggregate { get }

    /// Decides.
    ///
    /// - Parameter state: nil where the aggregate does not exist.
    /// - Returns: what happens, in order; empty when the command changes nothing.
    static func decide(
        _ command: Command, _ state: State?, _ facts: Facts
    ) throws(Rejection<Rules>) -> [Payload]

    /// Applies an event that happened, whatever the rules of today say of it.
    ///
    /// - Parameter state: nil before the first event.
    static func evolve(_ state: State?, _ event: Event<Payload>) -> State?
}
