public import Events

// The rule for statuses exists in Swift, here, and in SQL, in the columns of `order_summary_rows` (order-summary_0002).
// A test compares the two for every combination of facts. `Verification` intentionally implements the rule a third time
// to check both.

/// The status of an order. Read models store the raw values, and APIs return them.
public enum OrderStatus: String, CaseIterable, Hashable, Sendable {
    /// Other events of the order have arrived, but OrderCreated has not.
    case incomplete
    case created
    case confirmed
    /// A payment is completed, and at least a part of it is not refunded.
    case paid
    /// There are shipments, and none of them is delivered.
    case shipped
    /// Some shipments are delivered, others are not.
    case partiallyDelivered = "partially_delivered"
    /// All known shipments are delivered. A shipment that is created later makes the order partially delivered.
    case delivered
    case cancelled

    /// Computes the status. All read models use this rule.
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

    /// Whether the order is neither cancelled nor delivered.
    public var isOpen: Bool { self != .cancelled && self != .delivered }
}

/// The status of all payments of an order together.
public enum PaymentStatus: String, CaseIterable, Hashable, Sendable {
    case pending
    /// A payment failed, and none was completed or refunded.
    case failed
    /// At least one payment was completed, and nothing was refunded. The failure of another payment does not change
    /// this.
    case paid
    /// Something was refunded, but less than was paid.
    case partiallyRefunded = "partially_refunded"
    /// The refunds cover every completed payment.
    case refunded

    /// Computes the status.
    ///
    /// - Parameters:
    ///   - isCompleted: whether a payment was completed, even if it was refunded later.
    ///   - isUnrefunded: whether a part of a completed payment is not refunded.
    ///   - isRefunded: whether there is a refund.
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

/// The status of all shipments of an order together.
public enum ShipmentStatus: String, CaseIterable, Hashable, Sendable {
    case pending
    case shipped
    case partiallyDelivered = "partially_delivered"
    case delivered

    /// Computes the status.
    ///
    /// - Parameters:
    ///   - known: the number of shipments.
    ///   - delivered: the number of shipments that are delivered.
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
