import Events
import Orders
import StreamCore
import TestKit

/// Random events of orders: all kinds, several payments and shipments, changing items, two currencies, and also
/// histories that no shop would write.
struct RandomOrders {
    var random: SplitMix64

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
    }

    static func currency(_ code: String) -> Currency {
        guard let currency = Currency(code) else { preconditionFailure("\(code) is no currency") }
        return currency
    }

    static let currencies = [currency("EUR"), currency("JPY")]
    /// 2026-09-21T13:46:40Z.
    static let start: Int64 = 1_790_000_000_000_000
    static let address = ShippingAddress(
        name: "Erika", street: "Heidestraße 17", city: "Köln", postalCode: "51147", country: "DE")

    /// All events of one order, its payments and its shipments, in the order of their times.
    mutating func events(of orderID: String, startingAt start: Int64 = Self.start) -> [OrderEvent] {
        var life = Life(orderID: orderID, now: start, random: random)
        life.play()
        random = life.random
        return life.events
    }
}

private struct Life {
    let orderID: String
    var now: Int64
    var random: SplitMix64
    var events: [OrderEvent] = []
    private var sequences: [String: Int64] = [:]

    init(orderID: String, now: Int64, random: SplitMix64) {
        self.orderID = orderID
        self.now = now
        self.random = random
    }

    mutating func play() {
        let currency = RandomOrders.currencies[below(2)]
        let lines = (0...below(3)).map { _ in line() }
        tell(
            .orderCreated(
                OrderCreated(
                    customerID: "customer-\(below(5))", currency: currency, items: lines,
                    shippingAddress: RandomOrders.address)))
        for _ in 0..<below(4) {
            tell(below(3) == 0 ? .itemRemoved(productID: "product-\(below(6))") : .itemAdded(line()))
        }
        if below(6) > 0 { tell(.orderConfirmed) }
        for payment in 0..<below(3) { pay(payment, currency) }
        for shipment in 0..<below(3) {
            let id = "\(orderID)-ship-\(shipment)"
            tell(
                .shipmentCreated(ShipmentCreated(orderID: orderID, carrier: "DHL", trackingNumber: "JD1")), of: id)
            if below(3) > 0 { tell(.shipmentDelivered(ShipmentDelivered(orderID: orderID)), of: id) }
        }
        if below(5) == 0 { tell(.orderCancelled(OrderCancelled(reason: "too late", cancelledBy: "customer"))) }
    }

    private mutating func pay(_ payment: Int, _ currency: Currency) {
        let id = "\(orderID)-pay-\(payment)"
        let money = Money(DecimalAmount(coefficient: Int128(below(90_000) + 1), scale: below(3)), currency)
        let setback = PaymentSetback(orderID: orderID, money: money, reason: "declined")
        for _ in 0..<below(3) { tell(.paymentFailed(setback), of: id) }
        if below(4) > 0 {
            tell(.paymentCompleted(PaymentCompleted(orderID: orderID, money: money, method: "card")), of: id)
            for _ in 0..<[0, 0, 1, 2][below(4)] {
                let part = Money(
                    DecimalAmount(coefficient: below(2) == 0 ? money.amount.coefficient : 1, scale: money.amount.scale),
                    currency)
                tell(.paymentRefunded(PaymentSetback(orderID: orderID, money: part, reason: "returned")), of: id)
            }
        }
    }

    private mutating func line() -> OrderLine {
        let product = below(6)
        return OrderLine(
            productID: "product-\(product)", name: "Product \(product)", quantity: Int32(below(9) + 1),
            unitPrice: DecimalAmount(coefficient: Int128(below(10_000)), scale: 2))
    }

    private mutating func tell(_ payload: OrderEventPayload, of aggregateID: String? = nil) {
        let aggregateID = aggregateID ?? orderID
        let sequence = sequences[aggregateID, default: 0] + 1
        sequences[aggregateID] = sequence
        // The next event has the same time, or comes up to days later. Sometimes the clock steps back.
        now += [0, 700, 90_000_000, 50_000_000_000][below(4)] * Int64(below(3))
        if below(8) == 0 { now -= 30_000_000 }
        events.append(
            OrderEvent(
                identity: EventIdentity(
                    eventID: EventID(high: random.next(), low: random.next()), eventType: payload.type.rawValue,
                    aggregateID: aggregateID, sequence: sequence, timestamp: Timestamp(microseconds: now)),
                payload: payload))
    }

    private mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &random) }
}

extension Array {
    /// The elements in random order, some of them twice.
    func shuffledWithDuplicates(using random: inout some RandomNumberGenerator) -> [Element] {
        let copies = flatMap { Array(repeating: $0, count: Int.random(in: 1...5, using: &random) / 5 + 1) }
        return copies.shuffled(using: &random)
    }

    /// The elements in pieces of random sizes, at most `largest`.
    func splitAtRandom(largest: Int, using random: inout some RandomNumberGenerator) -> [[Element]] {
        var pieces: [[Element]] = []
        var start = 0
        while start < count {
            let end = Swift.min(start + Int.random(in: 1...largest, using: &random), count)
            pieces.append(Array(self[start..<end]))
            start = end
        }
        return pieces
    }

    /// All permutations of the elements.
    func permutations() -> [[Element]] {
        guard count > 1 else { return [self] }
        return indices.flatMap { index in
            var rest = self
            let first = rest.remove(at: index)
            return rest.permutations().map { [first] + $0 }
        }
    }
}
