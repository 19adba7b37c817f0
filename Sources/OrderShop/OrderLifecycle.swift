public import Events
public import Orders
public import StreamCore

/// The life of one order, from the cart to the delivery, as a state machine. Each step returns the events that one
/// transaction of the shop writes.
///
/// A pure value. Its own generator makes all decisions, seeded with the seed of the run and the order's number. So the
/// same seed results in the same histories, independent of the clock and of the steps of other orders. The caller's
/// clock determines only the timestamps and the time bits of the event ids.
public struct OrderLifecycle: Sendable {
    /// The id. It is unique among all runs on the same data, because each run has its own number.
    public let orderID: String
    /// The pause before the next step, as a fraction of a typical order's life, which is about 1.
    public private(set) var pause = 0.0

    private enum Step {
        case place
        case changeItems(remaining: Int)
        case confirm
        case cancel(reason: String, by: String)
        case pay(attempt: Int)
        case paySecondPart
        case ship(parcel: Int)
        case deliver(parcel: Int)
        case refund(reason: String)
    }

    private struct Payment {
        let id: String
        let minorUnits: Int64
        var sequence: Int64 = 0
        var isPaid = false
    }

    private struct Shipment {
        let id: String
        var sequence: Int64 = 0
    }

    private let customer: Customer
    private let isTruncated: Bool
    private var decisions: SeededGenerator
    private var identifiers: SeededGenerator
    private var upcoming: Step? = .place
    private var clock = Timestamp(microseconds: .min)
    private var correlationID: EventID?
    private var lastEventID: EventID?
    private var sequence: Int64 = 0
    private var lines: [OrderLine] = []
    private var payments: [Payment] = []
    private var shipments: [Shipment] = []
    private var parcels = 1

    /// - Parameters:
    ///   - number: the order's number in the run, from 0.
    ///   - run: the number of the run. Runs on the same data have different numbers.
    ///   - seed: the seed of the run.
    ///   - customers: the customers that order.
    ///   - creationOnly: whether every history ends after OrderCreated, for measurements with one event per order.
    init(number: Int, run: Int64, seed: UInt64, customers: Customers, creationOnly: Bool = false) {
        orderID = "ord-\(run)-\(paddedNumber(number + 1, width: 7))"
        isTruncated = creationOnly
        decisions = SeededGenerator(seed: seed, stream: UInt64(number))
        identifiers = SeededGenerator(seed: seed ^ UInt64(bitPattern: run), stream: ~UInt64(number))
        customer = customers.orderer(using: &decisions)
    }

    /// Whether no step has been played.
    var hasNotStarted: Bool { sequence == 0 }

    /// Whether the history has ended: the order was delivered, cancelled, abandoned or refunded.
    public var isOver: Bool { upcoming == nil }

    /// Plays the next step.
    ///
    /// - Parameter now: the time of the writing service.
    /// - Returns: the events of the step, which are written in one transaction; empty if the history has ended.
    public mutating func advance(at now: Timestamp) -> [OrderEvent] {
        guard let step = upcoming else { return [] }
        clock = Timestamp(microseconds: max(now.microseconds, clock.microseconds &+ 1))
        var events: [OrderEvent] = []
        upcoming = play(step, into: &events)
        return events
    }

    /// Ends the history at the current step.
    mutating func abandon() { upcoming = nil }

    // MARK: the steps: each writes its events and selects the next step

    private mutating func play(_ step: Step, into events: inout [OrderEvent]) -> Step? {
        switch step {
        case .place: return place(&events)
        case .changeItems(let remaining): return changeItems(remaining: remaining, &events)
        case .confirm:
            append(order: .orderConfirmed, to: &events)
            wait(mean: 0.15)
            if decisions.chance(0.02) { return .cancel(reason: "changed my mind", by: "customer") }
            return .pay(attempt: 1)
        case .cancel(let reason, let by): return cancel(reason: reason, by: by, &events)
        case .pay(let attempt): return pay(attempt: attempt, &events)
        case .paySecondPart:
            let last = payments.count - 1
            append(payment: last, completed(last, "gift-card"), to: &events)
            return fulfil()
        case .ship(let parcel): return ship(parcel: parcel, &events)
        case .deliver(let parcel): return deliver(parcel: parcel, &events)
        case .refund(let reason):
            refundAll(reason: reason, &events)
            return nil
        }
    }

    private mutating func place(_ events: inout [OrderEvent]) -> Step? {
        // Most carts are small: 1–8 different products, about 2.7 on average.
        var count = 1
        while count < 8, decisions.chance(0.63) { count += 1 }
        while lines.count < count {
            let line = Catalogue.standard.line(currency: customer.currency, using: &decisions)
            if !lines.contains(where: { $0.productID == line.productID }) { lines.append(line) }
        }
        append(
            order: .orderCreated(
                OrderCreated(
                    customerID: customer.id, currency: customer.currency.currency, items: lines,
                    shippingAddress: customer.address)),
            to: &events)
        if isTruncated { return nil }
        if decisions.chance(0.18) {
            wait(mean: 0.05)
            return .changeItems(remaining: 1 + decisions.below(3))
        }
        return decide()
    }

    private mutating func changeItems(remaining: Int, _ events: inout [OrderEvent]) -> Step? {
        if lines.count > 1, decisions.chance(0.4) {
            let removed = lines.remove(at: decisions.below(lines.count))
            append(order: .itemRemoved(productID: removed.productID), to: &events)
        } else if decisions.chance(0.35) {
            // Changes the quantity of a product in the cart. The new line replaces the old one.
            let index = decisions.below(lines.count)
            let old = lines[index]
            lines[index] = OrderLine(
                productID: old.productID, name: old.name, quantity: Int32(1 + decisions.below(6)),
                unitPrice: old.unitPrice)
            append(order: .itemAdded(lines[index]), to: &events)
        } else {
            let line = Catalogue.standard.line(currency: customer.currency, using: &decisions)
            if let index = lines.firstIndex(where: { $0.productID == line.productID }) {
                lines[index] = line
            } else {
                lines.append(line)
            }
            append(order: .itemAdded(line), to: &events)
        }
        wait(mean: 0.05)
        return remaining > 1 ? .changeItems(remaining: remaining - 1) : decide()
    }

    /// The cart is complete. The order is abandoned, cancelled or confirmed.
    private mutating func decide() -> Step? {
        let fate = decisions.unit()
        if fate < 0.07 { return nil }
        wait(mean: 0.1)
        return fate < 0.11 ? .cancel(reason: "ordered twice", by: "customer") : .confirm
    }

    private mutating func cancel(reason: String, by: String, _ events: inout [OrderEvent]) -> Step? {
        append(order: .orderCancelled(OrderCancelled(reason: reason, cancelledBy: by)), to: &events)
        wait(mean: 0.1)
        return payments.contains(where: \.isPaid) ? .refund(reason: "order cancelled") : nil
    }

    private mutating func pay(attempt: Int, _ events: inout [OrderEvent]) -> Step? {
        let total = lines.reduce(0) { $0 + $1.minorUnits }
        if attempt == 1 {
            // A few customers pay a part by gift card later. All others pay everything at once.
            let isSplit = total > 1_000 && decisions.chance(0.03)
            open(amount: isSplit ? total - total / 3 : total)
        }
        let current = payments.count - 1
        if decisions.chance(attempt == 1 ? 0.13 : 0.4) {
            let reason = decisions.pick(["card declined", "insufficient funds", "3-D Secure timeout", "expired card"])
            append(payment: current, .paymentFailed(setback(current, reason)), to: &events)
            wait(mean: 0.12)
            let answer = decisions.unit()
            if attempt >= 4 || answer < 0.15 {
                return .cancel(reason: "payment failed", by: "system")
            }
            // Some customers try another method, with a new payment. The others retry the same payment.
            if answer < 0.4 { open(amount: payments[current].minorUnits) }
            return .pay(attempt: attempt + 1)
        }
        let method = decisions.pick(["card", "card", "card", "paypal", "sepa-debit", "invoice"])
        append(payment: current, completed(current, method), to: &events)
        let rest = total - payments[current].minorUnits
        if rest > 0 {
            open(amount: rest)
            wait(mean: 0.05)
            return .paySecondPart
        }
        return fulfil()
    }

    /// The order is paid. It is cancelled or packed.
    private mutating func fulfil() -> Step? {
        wait(mean: 0.25)
        if decisions.chance(0.03) { return .cancel(reason: "out of stock", by: "support") }
        parcels = lines.count > 2 && decisions.chance(0.12) ? 2 : 1
        return .ship(parcel: 0)
    }

    private mutating func ship(parcel: Int, _ events: inout [OrderEvent]) -> Step? {
        shipments.append(Shipment(id: "shp-\(orderID.dropFirst(4))-\(parcel + 1)"))
        let carrier = decisions.pick(["DHL", "UPS", "La Poste", "Royal Mail", "Yamato"])
        let tracking = "\(carrier.prefix(2).uppercased())\(100_000_000_000 + decisions.below(899_999_999_999))"
        append(
            shipment: parcel,
            .shipmentCreated(ShipmentCreated(orderID: orderID, carrier: carrier, trackingNumber: tracking)),
            to: &events)
        if parcel + 1 < parcels {
            wait(mean: 0.1)
            return .ship(parcel: parcel + 1)
        }
        wait(mean: 0.35)
        return arrival(ofParcel: 0)
    }

    /// A few parcels are lost.
    private mutating func arrival(ofParcel parcel: Int) -> Step {
        decisions.chance(0.02) ? .refund(reason: "lost in transit") : .deliver(parcel: parcel)
    }

    private mutating func deliver(parcel: Int, _ events: inout [OrderEvent]) -> Step? {
        append(shipment: parcel, .shipmentDelivered(ShipmentDelivered(orderID: orderID)), to: &events)
        wait(mean: 0.2)
        if parcel + 1 < parcels { return arrival(ofParcel: parcel + 1) }
        return decisions.chance(0.04) ? .refund(reason: "returned") : nil
    }

    private mutating func refundAll(reason: String, _ events: inout [OrderEvent]) {
        for index in payments.indices where payments[index].isPaid {
            append(payment: index, .paymentRefunded(setback(index, reason)), to: &events)
        }
    }

    private mutating func open(amount minorUnits: Int64) {
        let id = "pay-\(orderID.dropFirst(4))-\(payments.count + 1)"
        payments.append(Payment(id: id, minorUnits: minorUnits))
    }

    /// Sets the pause to half of the mean plus a random part, so that it is never close to zero and never very long.
    private mutating func wait(mean: Double) {
        pause = mean * (0.5 + decisions.unit())
    }
}

// MARK: - events

extension OrderLifecycle {
    private func money(of index: Int) -> Money { customer.currency.money(minorUnits: payments[index].minorUnits) }

    private func completed(_ index: Int, _ method: String) -> OrderEventPayload {
        .paymentCompleted(PaymentCompleted(orderID: orderID, money: money(of: index), method: method))
    }

    private func setback(_ index: Int, _ reason: String) -> PaymentSetback {
        PaymentSetback(orderID: orderID, money: money(of: index), reason: reason)
    }

    private mutating func append(order fact: OrderEventPayload, to events: inout [OrderEvent]) {
        sequence += 1
        append(orderID, sequence, fact, to: &events)
    }

    private mutating func append(payment index: Int, _ fact: OrderEventPayload, to events: inout [OrderEvent]) {
        payments[index].sequence += 1
        if case .paymentCompleted = fact { payments[index].isPaid = true }
        append(payments[index].id, payments[index].sequence, fact, to: &events)
    }

    private mutating func append(shipment index: Int, _ fact: OrderEventPayload, to events: inout [OrderEvent]) {
        shipments[index].sequence += 1
        append(shipments[index].id, shipments[index].sequence, fact, to: &events)
    }

    /// Within an order, each event is later than the one before, even if the clock goes back. All events of an order
    /// have the id of the first one as correlation id.
    private mutating func append(
        _ aggregateID: String, _ sequence: Int64, _ fact: OrderEventPayload, to events: inout [OrderEvent]
    ) {
        if !events.isEmpty { clock = Timestamp(microseconds: clock.microseconds + 1) }
        let id = EventID(version7At: clock, using: &identifiers)
        events.append(
            OrderEvent(
                fact, of: aggregateID, sequence: sequence, at: clock, eventID: id,
                correlationID: (correlationID ?? id).description, causationID: lastEventID?.description,
                metadata: EventMetadata(userID: customer.id, source: "order-shop")))
        correlationID = correlationID ?? id
        lastEventID = id
    }
}
