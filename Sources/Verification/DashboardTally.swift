internal import Events
internal import Orders
internal import StreamCore

/// The dashboard's numbers, counted independently from the facts of orders. Its memory grows with the number of
/// buckets, products, customers and bins, not with the number of orders.
struct DashboardTally: Sendable {
    struct Happenings: Hashable, Sendable {
        var created = 0, confirmed = 0, paid = 0, delivered = 0, cancelled = 0
        var completed = 0, failed = 0, refunded = 0
        var revenue = DecimalAmount.zero, refunds = DecimalAmount.zero

        mutating func add(_ other: Happenings) throws {
            created += other.created
            confirmed += other.confirmed
            paid += other.paid
            delivered += other.delivered
            cancelled += other.cancelled
            completed += other.completed
            failed += other.failed
            refunded += other.refunded
            revenue = try revenue.adding(other.revenue)
            refunds = try refunds.adding(other.refunds)
        }
    }

    struct BucketKey: Hashable, Sendable {
        let start: Int64
        let currency: String
    }

    struct ProductKey: Hashable, Sendable {
        let day: Int32
        let currency: String
        let product: ExactText
    }

    struct Product: Hashable, Sendable {
        var name: ExactText
        var units: Int64 = 0
        var revenue = DecimalAmount.zero
    }

    struct CustomerKey: Hashable, Sendable {
        let customer: ExactText
        let currency: String
    }

    struct Customer: Hashable, Sendable {
        var orders = 0, cancelled = 0
        var spent = DecimalAmount.zero, refunded = DecimalAmount.zero
        var lastOrderAt: Timestamp?
    }

    struct BinKey: Hashable, Sendable {
        let day: Int32
        let step: String
        let atLeastMs: Int64
        let belowMs: Int64
    }

    private(set) var minutes: [BucketKey: Happenings] = [:]
    private(set) var statuses: [String: Int] = [:]
    private(set) var products: [ProductKey: Product] = [:]
    private(set) var customers: [CustomerKey: Customer] = [:]
    private(set) var bins: [BinKey: Int] = [:]

    /// Counts one order.
    ///
    /// - Throws: `DecimalOverflow`.
    mutating func add(_ facts: OrderFacts) throws {
        statuses[facts.status, default: 0] += 1
        for payment in facts.payments { try add(payment) }
        guard let created = facts.created else { return }
        let currency = created.value.currency
        let deliveredAt = facts.deliveredAt
        count(created.at, currency) { $0.created += 1 }
        count(facts.confirmed?.at, currency) { $0.confirmed += 1 }
        count(facts.firstPaidAt, currency) { $0.paid += 1 }
        count(deliveredAt, currency) { $0.delivered += 1 }
        count(facts.cancelled?.at, currency) { $0.cancelled += 1 }
        measure("paid", from: created.at, to: facts.firstPaidAt)
        measure("shipped", from: created.at, to: facts.firstShippedAt)
        measure("delivered", from: created.at, to: deliveredAt)
        try addCustomer(facts, created)
        if let paidAt = facts.firstPaidAt { try sell(facts.lines, on: paidAt.day, currency) }
    }

    private mutating func add(_ payment: PaymentFacts) throws {
        for told in payment.fates {
            var happenings = Happenings()
            switch told.value.fate {
            case .completed:
                happenings.completed = 1
                happenings.revenue = told.value.amount
            case .failed: happenings.failed = 1
            case .refunded:
                happenings.refunded = 1
                happenings.refunds = told.value.amount
            }
            let key = BucketKey(start: Self.start(of: told.at, 60_000_000), currency: told.value.currency)
            try minutes[key, default: Happenings()].add(happenings)
        }
    }

    private mutating func count(_ at: Timestamp?, _ currency: String, _ change: (inout Happenings) -> Void) {
        guard let at else { return }
        let key = BucketKey(start: Self.start(of: at, 60_000_000), currency: currency)
        change(&minutes[key, default: Happenings()])
    }

    private mutating func addCustomer(_ facts: OrderFacts, _ created: Told<CreatedOrder>) throws {
        let id = ExactText(created.value.customerID)
        let own = CustomerKey(customer: id, currency: created.value.currency)
        var customer = customers[own, default: Customer()]
        customer.orders += 1
        if facts.cancelled != nil { customer.cancelled += 1 }
        customer.lastOrderAt = max(customer.lastOrderAt ?? created.at, created.at)
        customers[own] = customer
        for payment in facts.payments {
            for told in payment.fates.map(\.value) where told.fate != .failed {
                let key = CustomerKey(customer: id, currency: told.currency)
                var paying = customers[key, default: Customer()]
                if told.fate == .completed {
                    paying.spent = try paying.spent.adding(told.amount)
                } else {
                    paying.refunded = try paying.refunded.adding(told.amount)
                }
                customers[key] = paying
            }
        }
    }

    private mutating func sell(_ lines: [LineFacts], on day: Int32, _ currency: String) throws {
        for line in lines {
            guard let content = line.content else { continue }
            let key = ProductKey(day: day, currency: currency, product: line.productID)
            var product = products[key] ?? Product(name: ExactText(content.name))
            product.name = max(product.name, ExactText(content.name))
            product.units += content.quantity
            product.revenue = try product.revenue.adding(content.price.multiplied(by: content.quantity))
            products[key] = product
        }
    }

    /// Counts a duration in a bin. Bins are 1 ms wide below 32 ms. Above that, every doubling has sixteen bins.
    private mutating func measure(_ step: String, from start: Timestamp, to end: Timestamp?) {
        guard let end else { return }
        let (elapsed, overflow) = end.microseconds.subtractingReportingOverflow(start.microseconds)
        let milliseconds = overflow ? (end > start ? Int64.max / 1_000 : 0) : max(elapsed, 0) / 1_000
        var width: Int64 = 1
        while milliseconds / width >= 32 { width *= 2 }
        let atLeastMs = milliseconds / width * width
        let key = BinKey(day: end.day, step: step, atLeastMs: atLeastMs, belowMs: atLeastMs + width)
        bins[key, default: 0] += 1
    }

    static func start(of instant: Timestamp, _ width: Int64) -> Int64 {
        let (quotient, remainder) = instant.microseconds.quotientAndRemainder(dividingBy: width)
        return (remainder < 0 ? quotient - 1 : quotient) * width
    }
}
