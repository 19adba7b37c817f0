/// The rules of one aggregate type as two pure functions. ``decide(_:_:_:)`` turns a command into events, and
/// ``evolve(_:_:)`` applies an event to the state. They read no clock and do no I/O. Everything else that they need is
/// in the facts.
public protocol Decider: SendableMetatype {
    /// Everything that the rules and the answers need to know about an aggregate.
    associatedtype State: Hashable, Sendable
    associatedtype Command: Sendable
    associatedtype Payload: EventPayload
    associatedtype Rules: Rule
    /// What a decision needs to know besides the aggregate, for example whether a customer is known.
    associatedtype Facts: Sendable = Void

    /// The aggregate type.
    static var kind: Payload.Kind.Aggregate { get }

    /// Decides which events a command causes.
    ///
    /// - Parameter state: the aggregate's state; nil if the aggregate does not exist.
    /// - Returns: the events in order; empty if the command changes nothing.
    /// - Throws: ``Rejection`` if a rule refuses the command.
    static func decide(
        _ command: Command, _ state: State?, _ facts: Facts
    ) throws(Rejection<Rules>) -> [Payload]

    /// Applies an event. It must accept events that today's rules would refuse.
    ///
    /// - Parameter state: the aggregate's state; nil before the first event.
    static func evolve(_ state: State?, _ event: Event<Payload>) -> State?
}
