internal import Events
internal import Orders

/// All that is known of one order from each side.
struct OrderCase: Sendable {
    let id: ExactText
    /// By the write model's tables; nil where they lack it.
    var written: WrittenOrder?
    /// Events of the write model that are not in Kafka.
    var unpublished: [EventKey] = []
    /// By the topics; nil where they do not mention it.
    var history: OrderHistory?
    /// The row of `order_summary`, by ``SummaryColumns``; nil where there is none.
    var row: [String?]?
}

/// Compares order by order, and counts what the dashboard must say. Pure: what it is given is all that it knows.
struct OrderComparer: Sendable {
    /// What the read models are compared with.
    enum Standard: Sendable {
        /// The topics' events, from the beginning.
        case events
        /// The write model, and the topics' events since its snapshot.
        case writeModel
    }

    private let standard: Standard
    private let exampleLimit: Int
    /// Record keys of events that are parked: their orders cannot be told from the write model.
    private let parkedKeys: (summary: Set<[UInt8]>, dashboard: Set<[UInt8]>)

    private(set) var summary = Verdict.Comparison(name: "order_summary")
    /// The write model against the topics.
    private(set) var topics = Verdict.Comparison(name: "topics")
    private(set) var tally = DashboardTally()
    /// Orders that the tally cannot count exactly, as events of them are under way or parked.
    private(set) var uncountable = 0

    /// Aggregates with undecodable records. It is unknown which of their events these records were.
    private var unreadableKeys: Set<ExactText> = []

    init(
        _ standard: Standard, exampleLimit: Int,
        parkedKeys: (summary: Set<[UInt8]>, dashboard: Set<[UInt8]>) = ([], [])
    ) {
        self.standard = standard
        self.exampleLimit = exampleLimit
        self.parkedKeys = parkedKeys
    }

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

    /// Notes a record that should have been parked.
    mutating func noteUnreadable(_ origin: RecordOrigin, _ reason: String) {
        summary.note("\(origin.partition)@\(origin.offset)", [.unreadable(reason)], limit: exampleLimit)
    }

    /// Notes the keys of records that are no events.
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

    /// Each event that the write model counts is in its topic or in the outbox, none of the topic is unknown to it,
    /// and where all are in the topics they say the same as the tables.
    private mutating func compareTopics(_ order: OrderCase) throws {
        var told = order.history?.facts(of: .written) ?? OrderFacts()
        let hasTold = order.history?.facts(of: .written) != nil
        guard let written = order.written else {
            // Created after the snapshot, unless Kafka had it before.
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

    /// - Returns: where the tables do not say what their events say; the events are what is expected.
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

    /// Whether the read model lacks an event of the order that the write model has, for a good reason: then nothing
    /// says what its row must be.
    private func isUnsettled(_ order: OrderCase, for reader: Membership, _ parkedKeys: Set<[UInt8]>) -> Bool {
        if !order.unpublished.isEmpty { return true }
        for event in order.history?.waiting ?? [] where event.missing.contains(reader) {
            if event.isParked.contains(reader) { return true }
            // Committed after the snapshot and not applied: neither side has it.
            guard let written = order.written else { continue }
            let seen = written.facts.seen(of: event.key.aggregate, event.key.id)
            if event.key.sequence <= seen.greatest { return true }
        }
        if parkedKeys.isEmpty { return false }
        let ids = order.written?.aggregates(of: order.id).map(\.id) ?? [order.id]
        return ids.contains { parkedKeys.contains(Array($0.text.utf8)) }
    }

    /// The write model, and what the read model has applied of the time after its snapshot.
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
