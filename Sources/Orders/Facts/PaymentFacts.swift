public import Events

/// What a read model keeps of a payment's event. It includes at least the amount.
public protocol PaymentDetail: Hashable, Sendable {
    var money: Money { get }
}

extension Money: PaymentDetail {
    public var money: Money { self }
}

/// The facts of one payment: its last completion, its last failure, and all its refunds.
public struct PaymentFacts<Fact: PaymentDetail>: AggregateFacts {
    public let id: String
    public private(set) var completed: Register<Fact>?
    public private(set) var failed: Register<Fact>?
    /// The refunds, ordered by their stamps. A payment can be refunded in parts, so each refund counts. If two refunds
    /// have the same sequence, which is an error of their writer, only the later one counts.
    public private(set) var refunds: [Register<Fact>] = []

    public init(
        id: String, completed: Register<Fact>? = nil, failed: Register<Fact>? = nil, refunds: [Register<Fact>] = []
    ) {
        self.id = id
        self.completed = completed
        self.failed = failed
        for refund in refunds { merge(refund: refund) }
    }

    public mutating func merge(_ other: Self) {
        Register.merge(other.completed, into: &completed)
        Register.merge(other.failed, into: &failed)
        for refund in other.refunds { merge(refund: refund) }
    }

    private mutating func merge(refund: Register<Fact>) {
        let place = refunds.firstIndex { $0.stamp >= refund.stamp } ?? refunds.count
        if place < refunds.count, refunds[place].stamp == refund.stamp { return }
        let sequence = refund.stamp.sequence
        if sequence > 0, place < refunds.count, refunds[place].stamp.sequence == sequence { return }
        if sequence > 0, place > 0, refunds[place - 1].stamp.sequence == sequence {
            refunds[place - 1] = refund
        } else {
            refunds.insert(refund, at: place)
        }
    }

    @inlinable
    public var last: EventStamp? {
        var last = completed?.stamp
        EventStamp.merge(failed?.stamp, into: &last)
        EventStamp.merge(refunds.last?.stamp, into: &last)
        return last
    }

    /// Whether the payment was completed and its refunds do not cover all of it. Refunds in another currency than the
    /// payment's do not count.
    @inlinable
    public var isUnrefunded: Bool {
        guard let paid = completed?.fact.money else { return false }
        var refunded: DecimalAmount?
        for refund in refunds where refund.fact.money.currency == paid.currency {
            // A sum that overflows is larger than any payment.
            guard let sum = try? (refunded ?? .zero).adding(refund.fact.money.amount) else { return false }
            refunded = sum
        }
        return refunded.map { $0 < paid.amount } ?? true
    }
}
