/// What must keep its order: the records of one key in one topic.
struct Lane: Hashable, Sendable {
    let topic: String
    let key: [UInt8]
}

/// The lanes that wait for an operator: a row of theirs is in `outbox_failed`, and no younger one may overtake it.
///
/// Their rows are read and left where they are; ``replace(with:)`` says when some may go again, which is when the cursor
/// has to be rewound. A pure value.
struct BlockedLanes {
    private(set) var lanes: Set<Lane> = []
    /// Lanes that the database does not know of: a row of theirs could not be set aside.
    private var unsaved: [Lane: ContinuousClock.Instant] = [:]

    var isEmpty: Bool { lanes.isEmpty }

    /// A row of this lane was set aside.
    mutating func block(_ lane: Lane) {
        lanes.insert(lane)
    }

    /// A row of this lane can neither be published nor be set aside; the lane waits until then, whatever the database
    /// says.
    mutating func block(_ lane: Lane, until instant: ContinuousClock.Instant) {
        lanes.insert(lane)
        unsaved[lane] = instant
    }

    /// - Parameter key: of the record.
    func contains(topic: String, key: Span<UInt8>) -> Bool {
        lanes.contains(Lane(topic: topic, key: Array(copying: key)))
    }

    /// The lanes by `outbox_failed`, as it is now.
    ///
    /// - Returns: whether a lane is free that was not.
    mutating func replace(with table: Set<Lane>, now: ContinuousClock.Instant) -> Bool {
        unsaved = unsaved.filter { $0.value > now }
        let current = table.union(unsaved.keys)
        let isReleasing = !lanes.isSubset(of: current)
        lanes = current
        return isReleasing
    }
}

/// Whether records may be sent to a topic.
///
/// A topic that is not there, or not for us, fails each of its records, some of them seconds after later ones were
/// taken: were the topic made at that moment, younger records would overtake older ones. So the first record of each
/// topic goes alone, and the others follow once it is acknowledged. Where it is not, the topic is held, its rows stay
/// in the outbox, other topics go on, and it is tried again after a while.
///
/// A pure value.
struct TopicGates {
    enum Gate: Equatable {
        /// Nothing was sent yet.
        case untried
        /// Its first record is in flight.
        case proving
        case open
        /// Not before this instant.
        case held(until: ContinuousClock.Instant)
    }

    private var gates: [String: Gate] = [:]
    private var backoffs: [String: Duration] = [:]
    /// Whether rows of a topic that was not open were left behind.
    private var hasLeftRows = false

    static let initialHold = Duration.seconds(1)
    static let longestHold = Duration.seconds(30)

    func gate(of topic: String) -> Gate { gates[topic] ?? .untried }

    /// The topic's first record is about to be sent.
    mutating func prove(_ topic: String) {
        gates[topic] = .proving
    }

    /// A row was passed over because its topic is not open.
    mutating func leave() {
        hasLeftRows = true
    }

    /// The topic's first record was acknowledged.
    ///
    /// - Returns: whether rows were passed over meanwhile, so that the cursor has to be rewound.
    mutating func open(_ topic: String) -> Bool {
        gates[topic] = .open
        backoffs[topic] = nil
        return hasLeftRows
    }

    /// The topic refused a record.
    ///
    /// - Returns: how long it is held.
    mutating func hold(_ topic: String, now: ContinuousClock.Instant) -> Duration {
        let wait = backoffs[topic].map { min($0 * 2, Self.longestHold) } ?? Self.initialHold
        backoffs[topic] = wait
        gates[topic] = .held(until: now + wait)
        hasLeftRows = true
        return wait
    }

    /// Topics whose time has come are to be tried again.
    ///
    /// - Returns: whether there are any: the cursor has to be rewound.
    mutating func release(now: ContinuousClock.Instant) -> Bool {
        var isReleasing = false
        for (topic, gate) in gates {
            guard case .held(let until) = gate, until <= now else { continue }
            gates[topic] = .untried
            isReleasing = true
        }
        return isReleasing
    }

    /// A new producer knows nothing of topics.
    mutating func forgetProofs() {
        for (topic, gate) in gates where gate == .open || gate == .proving { gates[topic] = .untried }
    }

    /// The cursor was rewound: what was left will be read.
    mutating func rewound() {
        hasLeftRows = false
    }

    /// Topics that are held now.
    var heldCount: Int { gates.values.reduce(0) { if case .held = $1 { $0 + 1 } else { $0 } } }
}
