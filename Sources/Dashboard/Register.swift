public import StreamCore

/// A fact, and the event that told it. Of two, the later one holds: the greater instant, then the greater event id,
/// so that which of them is met first makes no difference.
public struct Register<Fact: Hashable & Sendable>: Hashable, Sendable {
    public let at: Timestamp
    public let eventID: EventID
    public let fact: Fact

    public init(at: Timestamp, eventID: EventID, fact: Fact) {
        self.at = at
        self.eventID = eventID
        self.fact = fact
    }

    init(_ identity: EventIdentity, _ fact: Fact) {
        self.init(at: identity.timestamp, eventID: identity.eventID, fact: fact)
    }

    /// The later of what is known and what is told, either of which may be nothing.
    static func merge(_ other: Register?, into register: inout Register?) {
        guard let other else { return }
        if let known = register, !known.isBefore(other) { return }
        register = other
    }

    private func isBefore(_ other: Register) -> Bool {
        at == other.at ? eventID < other.eventID : at < other.at
    }
}
