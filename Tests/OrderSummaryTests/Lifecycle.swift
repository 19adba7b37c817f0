import Events
import Orders
import StreamCore

/// Events of one order and of its payments and shipments, for tests that shuffle them.
struct Lifecycle {
    let orderID: String
    private(set) var events: [OrderEvent] = []
    private var sequences: [String: Int64] = [:]
    private var random: SplitMix64

    static let euro: Currency = {
        guard let euro = Currency("EUR") else { preconditionFailure("EUR is a currency") }
        return euro
    }()
    static let yen: Currency = {
        guard let yen = Currency("JPY") else { preconditionFailure("JPY is a currency") }
        return yen
    }()
    static let address = ShippingAddress(
        name: "Erika", street: "Heidestraße 17", city: "Köln", postalCode: "51147", country: "DE")

    init(orderID: String = "order-1", seed: UInt64) {
        self.orderID = orderID
        random = SplitMix64(seed: seed)
    }

    /// Adds one more event, `seconds` after the start.
    ///
    /// - Parameters:
    ///   - isNumbered: whether the event has a sequence.
    ///   - eventID: nil for a random id.
    mutating func tell(
        _ payload: OrderEventPayload, of aggregateID: String? = nil, at seconds: Int64, isNumbered: Bool = true,
        eventID: EventID? = nil
    ) {
        let aggregateID = aggregateID ?? orderID
        let sequence = sequences[aggregateID, default: 0] + 1
        if isNumbered { sequences[aggregateID] = sequence }
        events.append(
            OrderEvent(
                identity: EventIdentity(
                    eventID: eventID ?? EventID(high: random.next(), low: random.next()),
                    eventType: payload.type.rawValue, aggregateID: aggregateID, sequence: isNumbered ? sequence : 0,
                    timestamp: Timestamp(microseconds: 1_790_000_000_000_000 + seconds * 1_000_000)),
                payload: payload))
    }

    static func line(_ productID: String, _ quantity: Int32, _ price: DecimalAmount) -> OrderLine {
        OrderLine(productID: productID, name: "Name of \(productID)", quantity: quantity, unitPrice: price)
    }

    static func money(_ amount: DecimalAmount) -> Money { Money(amount, euro) }

    func created(_ lines: [OrderLine]) -> OrderEventPayload {
        .orderCreated(
            OrderCreated(customerID: "customer-1", currency: Self.euro, items: lines, shippingAddress: Self.address))
    }

    func authorized(_ amount: DecimalAmount) -> OrderEventPayload {
        .paymentAuthorized(PaymentAuthorized(orderID: orderID, money: Self.money(amount), method: "card"))
    }

    func completed(_ amount: DecimalAmount) -> OrderEventPayload {
        .paymentCompleted(PaymentCompleted(orderID: orderID, money: Self.money(amount), method: "card"))
    }

    func failed(_ reason: String) -> OrderEventPayload {
        .paymentFailed(PaymentSetback(orderID: orderID, money: Self.money("1"), reason: reason))
    }

    func refunded(
        _ reason: String, _ amount: DecimalAmount = "2.50", _ currency: Currency = Self.euro
    ) -> OrderEventPayload {
        .paymentRefunded(PaymentSetback(orderID: orderID, money: Money(amount, currency), reason: reason))
    }

    func shipped(_ carrier: String) -> OrderEventPayload {
        .shipmentCreated(ShipmentCreated(orderID: orderID, carrier: carrier, trackingNumber: "JD1"))
    }

    var delivered: OrderEventPayload { .shipmentDelivered(ShipmentDelivered(orderID: orderID)) }

    /// Everything that can happen to an order: items are added, replaced, removed and added again, one payment fails,
    /// two succeed at the same instant, refunds come in parts, there are two shipments, and clocks step back.
    static func full(orderID: String = "order-1", seed: UInt64 = 1) -> [OrderEvent] {
        var life = Lifecycle(orderID: orderID, seed: seed)
        life.tell(life.created([line("b", 1, "10.00"), line("a", 2, "2.50")]), at: 0)
        life.tell(.itemAdded(line("c", 3, "0.333")), at: 1)
        life.tell(.itemAdded(line("a", 5, "2.5")), at: 2)
        life.tell(.itemRemoved(productID: "b"), at: 3)
        life.tell(.itemRemoved(productID: "c"), at: 4)
        life.tell(.itemAdded(line("c", 1, "7")), at: 5)
        life.tell(.orderConfirmed, at: 6)
        life.tell(life.failed("declined"), of: orderID + "-pay-1", at: 7)
        life.tell(life.completed("19.50"), of: orderID + "-pay-2", at: 8)
        life.tell(life.completed("19.50"), of: orderID + "-pay-3", at: 8)
        life.tell(life.refunded("damaged"), of: orderID + "-pay-3", at: 9)
        life.tell(life.refunded("paid twice", "17.00"), of: orderID + "-pay-3", at: 7)
        life.tell(life.shipped("DHL"), of: orderID + "-ship-1", at: 10)
        life.tell(life.shipped("UPS"), of: orderID + "-ship-2", at: 11)
        life.tell(life.delivered, of: orderID + "-ship-1", at: 12)
        life.tell(.orderCancelled(OrderCancelled(reason: "too late", cancelledBy: "customer")), at: 13)
        return life.events
    }
}

extension [OrderEvent] {
    /// The events in random order, some of them twice or more often.
    func shuffledWithDuplicates(using random: inout some RandomNumberGenerator) -> [OrderEvent] {
        let copies = flatMap { event in
            Array(repeating: event, count: Int.random(in: 1...5, using: &random) / 4 + 1)
        }
        return copies.shuffled(using: &random)
    }

    /// The events in batches that are split at random places.
    func splitAtRandom(using random: inout some RandomNumberGenerator) -> [[OrderEvent]] {
        var batches: [[OrderEvent]] = [[]]
        for event in self {
            if Int.random(in: 0..<3, using: &random) == 0 { batches.append([]) }
            batches[batches.count - 1].append(event)
        }
        return batches.filter { !$0.isEmpty }
    }
}

/// A decimal from a string literal in a test.
extension DecimalAmount: ExpressibleByStringLiteral {
    init(stringLiteral text: String) {
        do { self = try DecimalAmount(text) } catch { preconditionFailure("\(text) is no decimal") }
    }
}
