internal import Events
internal import Orders
internal import StreamCore

/// What one order contributes to all counters. It is a pure function of the order's facts. The counters are the sum of
/// the contributions of all orders: for each change of an order, the old contribution is subtracted and the new one is
/// added.
///
/// Parts that need the order's customer or currency count only after OrderCreated is known. Payments have their own
/// currency.
struct Contribution: Hashable, Sendable {
    /// Something that happens once, at one time.
    enum Counter: Int, Sendable {
        case ordersCreated, ordersConfirmed, ordersPaid, ordersDelivered, ordersCancelled
        case paymentsCompleted, paymentsFailed, paymentsRefunded
    }

    struct Moment: Hashable, Sendable {
        let counter: Counter
        let at: Timestamp
        let currency: Currency
    }

    struct PaymentMoment: Hashable, Sendable {
        let counter: Counter
        let at: Timestamp
        let money: Money
    }

    struct Ordered: Hashable, Sendable {
        let at: Timestamp
        let currency: Currency
        let isCancelled: Bool
    }

    enum Step: String, Hashable, Sendable {
        case paid, shipped, delivered
    }

    struct Duration: Hashable, Sendable {
        let day: Int32
        let step: Step
        let bin: DurationBin
    }

    struct Sale: Hashable, Sendable {
        let day: Int32
        let currency: Currency
        let lines: OrderLines?
    }

    private(set) var status: OrderStatus?
    private(set) var moments: [Moment] = []
    private(set) var payments: [PaymentMoment] = []
    private(set) var customerID: ExactText?
    private(set) var ordered: Ordered?
    private(set) var durations: [Duration] = []
    private(set) var sale: Sale?

    /// The contribution of an order without events.
    static let nothing = Contribution()

    private init() {}

    init(of facts: OrderFacts) {
        if facts.isEmpty { return }
        status = facts.status
        for payment in facts.payments.all {
            append(.paymentsCompleted, payment.completed)
            append(.paymentsFailed, payment.failed)
            for refund in payment.refunds { append(.paymentsRefunded, refund) }
        }
        guard let created = facts.created else { return }
        let currency = created.fact.currency
        let paidAt = facts.firstPaidAt
        let deliveredAt = facts.deliveredAt
        customerID = ExactText(created.fact.customerID)
        ordered = Ordered(at: created.at, currency: currency, isCancelled: facts.cancelled != nil)
        append(.ordersCreated, created.at, currency)
        append(.ordersConfirmed, facts.confirmed?.at, currency)
        append(.ordersPaid, paidAt, currency)
        append(.ordersDelivered, deliveredAt, currency)
        append(.ordersCancelled, facts.cancelled?.at, currency)
        append(.paid, from: created.at, to: paidAt)
        append(.shipped, from: created.at, to: facts.firstShippedAt)
        append(.delivered, from: created.at, to: deliveredAt)
        if let paidAt { sale = Sale(day: paidAt.day, currency: currency, lines: facts.lines) }
    }

    private mutating func append(_ counter: Counter, _ register: Register<Money>?) {
        guard let register else { return }
        payments.append(PaymentMoment(counter: counter, at: register.at, money: register.fact))
    }

    private mutating func append(_ counter: Counter, _ at: Timestamp?, _ currency: Currency) {
        guard let at else { return }
        moments.append(Moment(counter: counter, at: at, currency: currency))
    }

    private mutating func append(_ step: Step, from start: Timestamp, to end: Timestamp?) {
        guard let end else { return }
        let (elapsed, overflow) = end.microseconds.subtractingReportingOverflow(start.microseconds)
        let bin = DurationBin(microseconds: overflow ? (end > start ? .max : 0) : elapsed)
        durations.append(Duration(day: end.day, step: step, bin: bin))
    }
}

extension OrderFacts {
    /// Whether the sold products may count differently than before, apart from changes of the lines.
    func mayHaveSoldDifferently(than before: OrderFacts) -> Bool {
        firstPaidAt != before.firstPaidAt || firstPaidAt != nil && created != before.created
    }
}
