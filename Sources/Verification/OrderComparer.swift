internal import Events
internal import Orders

/// Everything that is known about one order.
struct OrderCase: Sendable {
    let id: ExactText
    /// The order in the write model's tables; nil if it is not there.
    var written: WrittenOrder?
    /// Events of the write model that are not in Kafka.
    var unpublished: [EventKey] = []
    /// The order's events in the topics; nil if there are none.
    var history: OrderHistory?
    /// The row of `order_summary`, in the order of ``SummaryColumns``; nil if there is none.
    var row: [String?]?
}

/// Compares orders one by one, and counts what the dashboard should show. It does no I/O.
struct OrderComparer: Sendable {
    /// What the read models are compared with.
    enum Standard: Sendable {
        /// The topics' events from the beginning.
        case events
        /// The write model, and the topics' events since its snapshot.
        case writeModel
    }

    private let standard: Standard
    private let exampleLimit: Int
    /// The record keys of parked events. What the read model should contain for their orders does not follow from the
    /// write model.
    private let parkedKeys: (summary: Set<[UInt8]>, dashboard: Set<[UInt8]>)

    private(set) var summary = Verdict.Comparison(name: "order_summary")
    /// The comparison of the write model with the topics.
    private(set) var topics = Verdict.Comparison(name: "topics")
    private(set) var tally = DashboardTally()
    /// The number of orders that the tally cannot count exactly, because some of their events are in transit or parked.
    private(set) var uncountable = 0

    /// The aggregates with records that cannot be decoded. Which of their events these records were is unknown.
    private var unreadableKeys: Set<ExactText> = []

    init(
        _ standard: Standard, exampleLimit: Int,
        parkedKeys: (summary: Set<[UInt8]>, dashboard: Set<[UInt8]>) = ([], [])
    ) {
        self.standard = standard
        self.exampleLimit = exampleLimit
        self.parkedKeys = parkedKeys
    }

    /// Compares one order.
    ///
    /// - Throws: `DecimalOverflow`.
    mutating func add(_ order: OrderCase) throws {
        switch standard {
        case .events:
            try compareTopics(order)
            try compareRow(order, with: order.history?.facts(of: .summary))
            if let facts = order.history?.facts(of: .dashboard) { try tally.add(facts) }
        case .writeModel:
            if isUnsettled(order, for: .summary, parkedKeys.summary) {
                summary.leftOut += 1
            } else {
                try compareRow(order, with: Self.facts(of: order, for: .summary))
            }
            if isUnsettled(order, for: .dashboard, parkedKeys.dashboard) {
                uncountable += 1
            } else if let facts = Self.facts(of: order, for: .dashboard) {
                try tally.add(facts)
            }
        }
    }

    /// Reports a record that cannot be decoded and should have been parked.
    mutating func noteUnreadable(_ origin: RecordOrigin, _ reason: String) {
        summary.note("\(origin.partition)@\(origin.offset)", [.unreadable(reason)], limit: exampleLimit)
    }

    /// Remembers the keys of records that are not events.
    mutating func noteUnreadable(keys: Set<ExactText>) { unreadableKeys.formUnion(keys) }

    private mutating func compareRow(_ order: OrderCase, with facts: OrderFacts?) throws {
        var problems: [Verdict.Difference.Problem] = []
        switch (facts, order.row) {
        case (nil, nil): return
        case (nil, _?): problems = [.unexpected]
        case (_?, nil): problems = [.missing]
        case (let facts?, let row?):
            problems = Verdict.Difference.Problem.columns(
                SummaryColumns.names, expected: try SummaryColumns.values(of: facts), actual: row)
        }
        summary.note(order.id.text, problems, limit: exampleLimit)
    }

    // MARK: the write model against the topics

    /// Checks three rules. Each event that the write model counts is in its topic or in the outbox. The write model
    /// knows every event of the topics. If the topics have all events of an order, they agree with the tables.
    private mutating func compareTopics(_ order: OrderCase) throws {
        var told = order.history?.facts(of: .written) ?? OrderFacts()
        let hasTold = order.history?.facts(of: .written) != nil
        guard let written = order.written else {
            // The order was created after the snapshot, unless its events were in Kafka before it.
            if hasTold {
                topics.note(order.id.text, [.unknownEvent(Self.first(of: told, order.id))], limit: exampleLimit)
            }
            return
        }
        for (event, _) in order.history?.recent ?? [] where written.holds(event) { told.merge(event) }
        let unpublished = Set(order.unpublished)
        var problems: [Verdict.Difference.Problem] = []
        var isComplete = true
        for (aggregate, id, last) in written.aggregates(of: order.id) {
            let seen = told.seen(of: aggregate, id)
            for sequence in seen.missing(upTo: last) {
                isComplete = false
                let key = EventKey(aggregate: aggregate, id: id, sequence: sequence)
                if !unpublished.contains(key), !unreadableKeys.contains(id) { problems.append(.lostEvent(key.text)) }
            }
            if seen.greatest > last {
                let key = EventKey(aggregate: aggregate, id: id, sequence: seen.greatest)
                problems.append(.unknownEvent(key.text))
            }
        }
        if isComplete, problems.isEmpty {
            problems = try Self.differences(told: told, written)
        } else if problems.isEmpty {
            topics.leftOut += 1
            return
        }
        topics.note(order.id.text, problems, limit: exampleLimit)
    }

    private static func first(of facts: OrderFacts, _ id: ExactText) -> String {
        if facts.seen.greatest > 0 {
            return EventKey(aggregate: .order, id: id, sequence: facts.seen.greatest).text
        }
        if let payment = facts.payments.first {
            return EventKey(aggregate: .payment, id: payment.id, sequence: payment.seen.greatest).text
        }
        let shipment = facts.shipments.first
        return EventKey(
            aggregate: .shipment, id: shipment?.id ?? id, sequence: shipment?.seen.greatest ?? 0
        ).text
    }

    /// - Returns: the differences between the tables and their events. The events are the expected values.
    private static func differences(
        told: OrderFacts, _ written: WrittenOrder
    ) throws -> [Verdict.Difference.Problem] {
        let status = told.cancelled != nil ? "cancelled" : told.confirmed != nil ? "confirmed" : "created"
        let total = try told.total()
        return Verdict.Difference.Problem.columns(
            SummaryColumns.names + ["payments", "shipments", "orders.status", "orders.total_amount"],
            expected: try SummaryColumns.values(of: told)
                + [told.paymentsText, told.shipmentsText, status, SummaryColumns.text(total)],
            actual: try SummaryColumns.values(of: written.facts)
                + [
                    written.facts.paymentsText, written.facts.shipmentsText, written.status,
                    SummaryColumns.text(written.total),
                ])
    }

    // MARK: the read models against the write model

    /// Whether the read model lacks an event that the write model has because the event is in transit or parked. The
    /// expected row is then unknown.
    private func isUnsettled(_ order: OrderCase, for reader: Membership, _ parkedKeys: Set<[UInt8]>) -> Bool {
        if !order.unpublished.isEmpty { return true }
        for event in order.history?.waiting ?? [] where event.missing.contains(reader) {
            if event.isParked.contains(reader) { return true }
            // An event that was committed after the snapshot and is not applied is missing on both sides.
            guard let written = order.written else { continue }
            let seen = written.facts.seen(of: event.key.aggregate, event.key.id)
            if event.key.sequence <= seen.greatest { return true }
        }
        if parkedKeys.isEmpty { return false }
        let ids = order.written?.aggregates(of: order.id).map(\.id) ?? [order.id]
        return ids.contains { parkedKeys.contains(Array($0.text.utf8)) }
    }

    /// The facts in the write model, merged with the events after its snapshot that the read model has applied.
    private static func facts(of order: OrderCase, for reader: Membership) -> OrderFacts? {
        var facts = order.written?.facts
        for (event, membership) in order.history?.recent ?? [] where membership.contains(reader) {
            if order.written?.holds(event) ?? false { continue }
            if facts == nil { facts = OrderFacts() }
            facts?.merge(event)
        }
        return facts
    }
}
