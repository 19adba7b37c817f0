internal import Events
internal import Orders
internal import StreamCore

/// The changes of counters by a batch: the new contributions of its orders minus the old ones.
struct CounterChanges {
    /// The counts of one minute and currency. Hours and days are computed from them.
    struct Tally: Hashable {
        var counts = SIMD8<Int64>()
        var revenue = DecimalAmount.zero
        var refunds = DecimalAmount.zero

        var isNothing: Bool { counts == SIMD8() && revenue == .zero && refunds == .zero }

        mutating func add(_ other: Tally) throws(DecimalOverflow) {
            counts &+= other.counts
            revenue = try revenue.adding(other.revenue)
            refunds = try refunds.adding(other.refunds)
        }
    }

    struct BucketKey: Hashable, Comparable {
        let currency: Currency
        /// The start of the bucket, in microseconds since 1970.
        let start: Int64

        static func < (left: Self, right: Self) -> Bool {
            (left.currency, left.start) < (right.currency, right.start)
        }
    }

    struct ProductKey: Hashable {
        let day: Int32
        let currency: Currency
        let productID: ExactText
    }

    struct Product: Hashable {
        var name: String
        var units: Int64 = 0
        var revenue = DecimalAmount.zero
    }

    struct CustomerKey: Hashable {
        let customerID: ExactText
        let currency: Currency
    }

    struct Customer: Hashable {
        var orders: Int64 = 0
        var cancelled: Int64 = 0
        var spent = DecimalAmount.zero
        var refunded = DecimalAmount.zero
        var lastOrderAt: Timestamp?

        var isNothing: Bool { self == Customer() }
    }

    private(set) var minutes: [BucketKey: Tally] = [:]
    private(set) var statuses: [OrderStatus: Int64] = [:]
    private(set) var products: [ProductKey: Product] = [:]
    private(set) var customers: [CustomerKey: Customer] = [:]
    private(set) var durations: [Contribution.Duration: Int64] = [:]

    /// Replaces the contribution `old` of an order by `new`. Equal parts are skipped.
    mutating func move(from old: Contribution, to new: Contribution) throws(DecimalOverflow) {
        if old.status != new.status {
            if let status = old.status { statuses[status, default: 0] -= 1 }
            if let status = new.status { statuses[status, default: 0] += 1 }
        }
        if old.moments != new.moments {
            for moment in old.moments { count(moment, -1) }
            for moment in new.moments { count(moment, 1) }
        }
        if old.payments != new.payments {
            for payment in old.payments { try count(payment, -1) }
            for payment in new.payments { try count(payment, 1) }
        }
        if old.customerID != new.customerID || old.ordered != new.ordered { order(from: old, to: new) }
        if old.customerID != new.customerID || old.payments != new.payments {
            try pay(old, -1)
            try pay(new, 1)
        }
        if old.durations != new.durations {
            for duration in old.durations { durations[duration, default: 0] -= 1 }
            for duration in new.durations { durations[duration, default: 0] += 1 }
        }
        if old.sale != new.sale {
            if let sale = old.sale { try sell(sale, -1) }
            if let sale = new.sale { try sell(sale, 1) }
        }
    }

    // MARK: happenings

    private mutating func count(_ moment: Contribution.Moment, _ sign: Int64) {
        let key = BucketKey(currency: moment.currency, start: Bucket.minute.start(of: moment.at))
        minutes[key, default: Tally()].counts[moment.counter.rawValue] += sign
    }

    private mutating func count(_ payment: Contribution.PaymentMoment, _ sign: Int64) throws(DecimalOverflow) {
        var tally = Tally()
        tally.counts[payment.counter.rawValue] = sign
        let amount = try payment.money.amount.multiplied(by: sign)
        if payment.counter == .paymentsCompleted { tally.revenue = amount }
        if payment.counter == .paymentsRefunded { tally.refunds = amount }
        let key = BucketKey(currency: payment.money.currency, start: Bucket.minute.start(of: payment.at))
        try minutes[key, default: Tally()].add(tally)
    }

    // MARK: customers

    private mutating func order(from old: Contribution, to new: Contribution) {
        for (contribution, sign) in [(old, Int64(-1)), (new, 1)] {
            guard let customerID = contribution.customerID, let ordered = contribution.ordered else { continue }
            let key = CustomerKey(customerID: customerID, currency: ordered.currency)
            customers[key, default: Customer()].orders += sign
            if ordered.isCancelled { customers[key, default: Customer()].cancelled += sign }
            // The time only moves forward, like the creation of an order.
            if sign > 0 {
                let last = customers[key]?.lastOrderAt ?? ordered.at
                customers[key]?.lastOrderAt = max(last, ordered.at)
            }
        }
    }

    private mutating func pay(_ contribution: Contribution, _ sign: Int64) throws(DecimalOverflow) {
        guard let customerID = contribution.customerID else { return }
        for payment in contribution.payments where payment.counter != .paymentsFailed {
            let key = CustomerKey(customerID: customerID, currency: payment.money.currency)
            let amount = try payment.money.amount.multiplied(by: sign)
            var customer = customers[key, default: Customer()]
            if payment.counter == .paymentsCompleted {
                customer.spent = try customer.spent.adding(amount)
            } else {
                customer.refunded = try customer.refunded.adding(amount)
            }
            customers[key] = customer
        }
    }

    // MARK: products

    private mutating func sell(_ sale: Contribution.Sale, _ sign: Int64) throws(DecimalOverflow) {
        for entry in sale.lines?.entries ?? [] {
            guard let line = entry.line else { continue }
            let key = ProductKey(day: sale.day, currency: sale.currency, productID: ExactText(entry.productID))
            var product = products[key, default: Product(name: line.name)]
            if ExactText.compare(product.name, line.name) < 0 { product.name = line.name }
            let units = Int64(line.quantity) * sign
            product.units += units
            product.revenue = try product.revenue.adding(line.unitPrice.multiplied(by: units))
            products[key] = product
        }
    }
}

/// The sizes of time buckets.
enum Bucket: String, CaseIterable {
    case minute, hour, day

    private var microseconds: Int64 {
        switch self {
        case .minute: 60_000_000
        case .hour: 3_600_000_000
        case .day: 86_400_000_000
        }
    }

    /// The start of the bucket that contains `instant`, in microseconds since 1970.
    func start(of instant: Timestamp) -> Int64 {
        let (quotient, remainder) = instant.microseconds.quotientAndRemainder(dividingBy: microseconds)
        return (remainder < 0 ? quotient - 1 : quotient) * microseconds
    }
}
