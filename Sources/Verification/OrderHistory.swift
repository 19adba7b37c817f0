internal import Events
internal import Orders
internal import StreamCore

/// Identifies an event by its aggregate and its sequence.
struct EventKey: Hashable, Sendable {
    let aggregate: AggregateType
    let id: ExactText
    let sequence: Int64

    init(aggregate: AggregateType, id: ExactText, sequence: Int64) {
        self.aggregate = aggregate
        self.id = id
        self.sequence = sequence
    }

    init(_ event: OrderEvent) {
        self.init(
            aggregate: event.aggregateType, id: ExactText(event.identity.aggregateID),
            sequence: event.identity.sequence)
    }

    var text: String { "event \(sequence) of \(aggregate) \(id.text)" }
}

/// The states that contain an event.
struct Membership: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    static let summary = Membership(rawValue: 1)
    static let dashboard = Membership(rawValue: 2)
    /// The write model certainly contains the event, because it was in Kafka before the write model's snapshot.
    static let written = Membership(rawValue: 4)
}

/// The events of one order in the topics, merged as they are read.
///
/// The write model and the two read models each correspond to a different position in the topics. Events are merged
/// into one set of facts for each combination of these states. Nearly all events belong to all states. The other sets
/// contain the few events between the positions.
struct OrderHistory: Sendable {
    private var parts: [(membership: Membership, facts: OrderFacts)] = []
    /// Events that may have been committed after the write model's snapshot. Their sequences tell whether they were.
    private(set) var recent: [(event: OrderEvent, membership: Membership)] = []
    /// Events that the write model certainly contains but a projection does not, because they are in transit or parked.
    private(set) var waiting: [(key: EventKey, missing: Membership, isParked: Membership)] = []

    mutating func fold(_ event: OrderEvent, _ membership: Membership) {
        if membership.isEmpty { return }
        if let place = parts.firstIndex(where: { $0.membership == membership }) {
            parts[place].facts.merge(event)
        } else {
            var facts = OrderFacts()
            facts.merge(event)
            parts.append((membership, facts))
        }
    }

    /// The facts from the events that belong to one of the states; nil if there are none.
    func facts(of wanted: Membership) -> OrderFacts? {
        var found: OrderFacts?
        for (membership, facts) in parts where membership.contains(wanted) {
            if found == nil { found = facts } else { found?.merge(facts) }
        }
        return found
    }

    mutating func noteRecent(_ event: OrderEvent, _ membership: Membership) { recent.append((event, membership)) }

    mutating func noteWaiting(_ key: EventKey, missing: Membership, isParked: Membership) {
        waiting.append((key, missing, isParked))
    }
}

/// The events of the orders in one range of ids.
struct OrderHistories: Sendable {
    /// For each partition, the offset from which records may be newer than the write model's snapshot.
    let marker: [TopicPartition: Int64]
    let summary: ProjectionCut
    let dashboard: ProjectionCut?
    /// The range of order ids, without the first and including the second; nil stands for no limit.
    let range: (after: ExactText?, through: ExactText?)

    private(set) var orders: [ExactText: OrderHistory] = [:]
    /// Records below the order summary's offsets that cannot be decoded and are not parked.
    private(set) var unreadable: [(origin: RecordOrigin, reason: String)] = []
    /// The record keys, which are aggregate ids, of all records that cannot be decoded.
    private(set) var unreadableKeys: Set<ExactText> = []
    /// The number of events of the range that are in Kafka but not yet in the rows of a projection.
    private(set) var waiting: (summary: Int, dashboard: Int) = (0, 0)

    init(
        marker: [TopicPartition: Int64], summary: ProjectionCut, dashboard: ProjectionCut?,
        range: (after: ExactText?, through: ExactText?)
    ) {
        self.marker = marker
        self.summary = summary
        self.dashboard = dashboard
        self.range = range
    }

    /// Merges one record.
    ///
    /// - Parameters:
    ///   - decoded: the record's event; nil for a record that is not an event of this domain.
    ///   - origin: the position of the record.
    ///   - key: the record's key if the record cannot be decoded.
    mutating func add(
        _ decoded: Result<OrderEvent?, EventDecodeError>, _ origin: RecordOrigin, key: String? = nil
    ) {
        if let applied = summary.retried[origin], isInRange(applied) {
            orders[ExactText(applied.orderID), default: OrderHistory()]
                .fold(applied, Self.keepers(of: applied).intersection(.summary))
        }
        if let applied = dashboard?.retried[origin], isInRange(applied) {
            orders[ExactText(applied.orderID), default: OrderHistory()]
                .fold(applied, Self.keepers(of: applied).intersection(.dashboard))
        }
        switch decoded {
        case .failure(let error):
            if let key { unreadableKeys.insert(ExactText(key)) }
            // Every range reads all records, so only the first one reports them.
            if range.after == nil, summary.holds(origin) {
                unreadable.append((origin, "\(error.path): \(error.detail)"))
            }
        case .success(let event):
            if let event, isInRange(event) { add(event, origin) }
        }
    }

    private mutating func add(_ event: OrderEvent, _ origin: RecordOrigin) {
        var membership: Membership = []
        var missing: Membership = []
        var parked: Membership = []
        func place(_ cut: ProjectionCut, _ own: Membership) {
            if cut.holds(origin) {
                membership.insert(own)
            } else if cut.retried[origin] == nil {
                missing.insert(own)
                if cut.parked.contains(origin) { parked.insert(own) }
            }
        }
        place(summary, .summary)
        if let dashboard { place(dashboard, .dashboard) }
        let isRecent = origin.offset >= marker[origin.partition] ?? 0
        if !isRecent { membership.insert(.written) }
        membership = Self.keepers(of: event).intersection(membership)
        let id = ExactText(event.orderID)
        orders[id, default: OrderHistory()].fold(event, membership)
        if isRecent { orders[id]?.noteRecent(event, membership) }
        if !missing.isEmpty {
            orders[id]?.noteWaiting(EventKey(event), missing: missing, isParked: parked)
            if missing.subtracting(parked).contains(.summary) { waiting.summary += 1 }
            if missing.subtracting(parked).contains(.dashboard) { waiting.dashboard += 1 }
        }
    }

    /// The states that contain an event of this type. The read models skip authorizations, but the write model stores
    /// them.
    private static func keepers(of event: OrderEvent) -> Membership {
        if case .paymentAuthorized = event.payload { return .written }
        return [.summary, .dashboard, .written]
    }

    private func isInRange(_ event: OrderEvent) -> Bool {
        let id = ExactText(event.orderID)
        if let after = range.after, id <= after { return false }
        if let through = range.through, id > through { return false }
        return true
    }
}
