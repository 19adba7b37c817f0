import Events
import Orders
import StreamCore

/// Orders with every combination of the facts that the statuses depend on: the order's own facts, two payments and two
/// shipments.
enum StatusCombinations {
    /// The events of a payment of 10 euros.
    enum Payment: CaseIterable {
        case none, failed, completed, partlyRefunded, refundedInParts, refunded, refundedInAnotherCurrency, onlyRefunded
    }

    enum Shipment: CaseIterable {
        case none, created, delivered, onlyDelivered
    }

    /// The events of one order and its expected statuses.
    struct Order {
        let events: [OrderEvent]
        let status: OrderStatus
        let payment: PaymentStatus
        let shipment: ShipmentStatus
    }

    static func all() -> [Order] {
        var orders: [Order] = []
        for facts in 0..<8 {
            for first in Payment.allCases {
                for second in Payment.allCases {
                    for parcel in Shipment.allCases {
                        for other in Shipment.allCases {
                            orders.append(order(facts, [first, second], [parcel, other]))
                        }
                    }
                }
            }
        }
        return orders
    }

    private static func order(_ facts: Int, _ payments: [Payment], _ shipments: [Shipment]) -> Order {
        let (isCreated, isConfirmed, isCancelled) = (facts & 1 > 0, facts & 2 > 0, facts & 4 > 0)
        var life = Lifecycle(orderID: "\(facts) \(payments) \(shipments)", seed: 1)
        // Every order has at least this event.
        life.tell(.itemAdded(Lifecycle.line("a", 1, "1")), at: 0)
        if isCreated { life.tell(life.created([Lifecycle.line("a", 1, "1")]), at: 0) }
        if isConfirmed { life.tell(.orderConfirmed, at: 1) }
        if isCancelled { life.tell(.orderCancelled(OrderCancelled(reason: "r", cancelledBy: "c")), at: 2) }
        for (place, payment) in payments.enumerated() { tell(payment, of: "pay-\(place)", &life) }
        for (place, shipment) in shipments.enumerated() {
            let id = "ship-\(place)"
            if shipment == .created || shipment == .delivered { life.tell(life.shipped("DHL"), of: id, at: 10) }
            // By the clocks, the second shipment is delivered before it is created.
            if shipment == .delivered || shipment == .onlyDelivered {
                life.tell(life.delivered, of: id, at: place == 0 ? 11 : 9)
            }
        }
        let (payment, shipment) = (status(payments), status(shipments))
        return Order(
            events: life.events,
            status: status(isCreated, isConfirmed, isCancelled, payment, shipment), payment: payment,
            shipment: shipment)
    }

    private static func tell(_ payment: Payment, of id: String, _ life: inout Lifecycle) {
        switch payment {
        case .none: break
        case .failed: life.tell(life.failed("declined"), of: id, at: 5)
        case .completed: life.tell(life.completed("10"), of: id, at: 6)
        case .partlyRefunded:
            life.tell(life.completed("10"), of: id, at: 6)
            life.tell(life.refunded("damaged", "4"), of: id, at: 7)
        case .refundedInParts:
            life.tell(life.completed("10"), of: id, at: 6)
            life.tell(life.refunded("damaged", "4"), of: id, at: 7)
            life.tell(life.refunded("returned", "6.00"), of: id, at: 7)
        case .refunded:
            // The payment failed first. By the clocks, its refund came before the failure.
            life.tell(life.failed("declined"), of: id, at: 5)
            life.tell(life.completed("10"), of: id, at: 6)
            life.tell(life.refunded("returned", "10.00"), of: id, at: 4)
        case .refundedInAnotherCurrency:
            life.tell(life.completed("10"), of: id, at: 6)
            life.tell(life.refunded("returned", "10", Lifecycle.yen), of: id, at: 7)
        case .onlyRefunded: life.tell(life.refunded("returned", "10"), of: id, at: 7)
        }
    }

    // MARK: the rule, written independently of the program

    private static func status(_ payments: [Payment]) -> PaymentStatus {
        let paid: Set<Payment> = [
            .completed, .partlyRefunded, .refundedInParts, .refunded, .refundedInAnotherCurrency,
        ]
        let kept: Set<Payment> = [.completed, .partlyRefunded, .refundedInAnotherCurrency]
        let returned: Set<Payment> = [
            .partlyRefunded, .refundedInParts, .refunded, .refundedInAnotherCurrency, .onlyRefunded,
        ]
        if payments.contains(where: returned.contains) {
            return payments.contains(where: kept.contains) ? .partiallyRefunded : .refunded
        }
        if payments.contains(where: paid.contains) { return .paid }
        return payments.contains(.failed) ? .failed : .pending
    }

    private static func status(_ shipments: [Shipment]) -> ShipmentStatus {
        let known = shipments.filter { $0 != .none }
        let underWay = known.count { $0 == .created }
        if known.isEmpty { return .pending }
        return underWay == 0 ? .delivered : underWay == known.count ? .shipped : .partiallyDelivered
    }

    private static func status(
        _ isCreated: Bool, _ isConfirmed: Bool, _ isCancelled: Bool, _ payment: PaymentStatus,
        _ shipment: ShipmentStatus
    ) -> OrderStatus {
        guard isCreated else { return .incomplete }
        if isCancelled { return .cancelled }
        if let status = OrderStatus(rawValue: shipment.rawValue) { return status }
        if payment == .paid || payment == .partiallyRefunded { return .paid }
        return isConfirmed ? .confirmed : .created
    }
}
