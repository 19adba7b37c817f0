public import Events

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

    public init<Fact>(_ payments: AggregateMap<PaymentFacts<Fact>>) {
        let hasRefunds = payments.all.contains { !$0.refunds.isEmpty }
        if hasRefunds {
            self = payments.all.contains(where: \.isUnrefunded) ? .partiallyRefunded : .refunded
        } else if payments.all.contains(where: { $0.completed != nil }) {
            self = .paid
        } else {
            self = payments.all.contains { $0.failed != nil } ? .failed : .pending
        }
    }
}

/// How far an order's shipments have come, all of them together.
public enum ShipmentStatus: String, CaseIterable, Hashable, Sendable {
    case pending
    case shipped
    case partiallyDelivered = "partially_delivered"
    case delivered

    public init<Fact>(_ shipments: AggregateMap<ShipmentFacts<Fact>>) {
        let delivered = shipments.all.count { $0.delivered != nil }
        self =
            shipments.isEmpty
            ? .pending
            : delivered == 0 ? .shipped : delivered < shipments.all.count ? .partiallyDelivered : .delivered
    }
}
