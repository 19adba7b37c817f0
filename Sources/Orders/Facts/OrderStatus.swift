public import Events

// The rule of the statuses stands here for Swift, and once more in SQL, in the columns of `order_summary_rows`
// (order-summary_0002). A test keeps the two equal for every combination of facts. `Verification` has a third one, on
// purpose, by which it checks both.

/// How far an order has come. The raw values are what read models store and APIs answer.
public enum OrderStatus: String, CaseIterable, Hashable, Sendable {
    /// Other events told of it before OrderCreated came.
    case incomplete
    case created
    case confirmed
    /// At least a part of what was paid is not refunded.
    case paid
    /// No shipment is delivered yet.
    case shipped
    /// Some shipments are delivered, others are not.
    case partiallyDelivered = "partially_delivered"
    /// All shipments that are known are delivered. A shipment that is created later makes it partially delivered.
    case delivered
    case cancelled

    /// The one rule, for all read models.
    public init(
        isCreated: Bool, isConfirmed: Bool, isCancelled: Bool, payments: PaymentStatus, shipments: ShipmentStatus
    ) {
        if !isCreated {
            self = .incomplete
        } else if isCancelled {
            self = .cancelled
        } else {
            switch (shipments, payments) {
            case (.delivered, _): self = .delivered
            case (.partiallyDelivered, _): self = .partiallyDelivered
            case (.shipped, _): self = .shipped
            case (.pending, .paid), (.pending, .partiallyRefunded): self = .paid
            case (.pending, _): self = isConfirmed ? .confirmed : .created
            }
        }
    }

    /// Whether more is to come: neither cancelled nor delivered.
    public var isOpen: Bool { self != .cancelled && self != .delivered }
}

/// How far an order's payments have come, all of them together.
public enum PaymentStatus: String, CaseIterable, Hashable, Sendable {
    case pending
    /// One failed, and none was completed or refunded.
    case failed
    /// One was completed at least, and nothing is refunded. A payment that was made stays made when another one fails.
    case paid
    /// Something is refunded, but not all that was paid.
    case partiallyRefunded = "partially_refunded"
    /// The refunds of each completed payment make up for it.
    case refunded

    /// The one rule.
    ///
    /// - Parameters:
    ///   - isCompleted: whether a payment was completed, refunded since or not.
    ///   - isUnrefunded: whether of a completed payment something is left.
    ///   - isRefunded: whether something is refunded.
    ///   - isFailed: whether a payment failed.
    public init(isCompleted: Bool, isUnrefunded: Bool, isRefunded: Bool, isFailed: Bool) {
        if isRefunded {
            self = isUnrefunded ? .partiallyRefunded : .refunded
        } else if isCompleted {
            self = .paid
        } else {
            self = isFailed ? .failed : .pending
        }
    }

    public init<Fact>(_ payments: AggregateMap<PaymentFacts<Fact>>) {
        self.init(
            isCompleted: payments.all.contains { $0.completed != nil },
            isUnrefunded: payments.all.contains(where: \.isUnrefunded),
            isRefunded: payments.all.contains { !$0.refunds.isEmpty },
            isFailed: payments.all.contains { $0.failed != nil })
    }
}

/// How far an order's shipments have come, all of them together.
public enum ShipmentStatus: String, CaseIterable, Hashable, Sendable {
    case pending
    case shipped
    case partiallyDelivered = "partially_delivered"
    case delivered

    /// The one rule.
    ///
    /// - Parameters:
    ///   - known: how many shipments there are.
    ///   - delivered: how many of them are delivered.
    public init(known: Int, delivered: Int) {
        if known == 0 {
            self = .pending
        } else if delivered == 0 {
            self = .shipped
        } else {
            self = delivered < known ? .partiallyDelivered : .delivered
        }
    }

    public init<Fact>(_ shipments: AggregateMap<ShipmentFacts<Fact>>) {
        self.init(known: shipments.all.count, delivered: shipments.all.count { $0.delivered != nil })
    }
}
