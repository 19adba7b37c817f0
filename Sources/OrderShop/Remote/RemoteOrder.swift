internal import Events
internal import HTTPClient
internal import Orders
internal import StreamCore
internal import WireJSON

/// One order that is played over HTTP, as a state machine. It turns the events of the history into requests with the
/// ids that the service has assigned. It does no I/O.
struct RemoteOrder: Sendable {
    /// The kind of resource that a request creates.
    private enum Created: Sendable {
        case order
        case payment(String)
        case shipment(String)
    }

    /// The events that still need requests, in order.
    private var pending: [OrderEvent] = []
    private var awaited: Created?
    private var orderID: String?
    /// The service's ids of payments, by the ids in the history. A payment that failed is removed, because the next
    /// attempt is a new payment.
    private var payments: [String: String] = [:]
    private var shipments: [String: String] = [:]

    /// Adds the events of a step.
    mutating func add(_ events: [OrderEvent]) { pending += events }

    /// The service's ids of the step's customer and products.
    typealias Names = (customer: String, products: [String: String])

    /// The customer and the products that the next requests refer to; nil if there are none.
    var wanted: (customer: String?, products: [String])? {
        switch pending.first?.payload {
        case .orderCreated(let order): (order.customerID, order.items.map(\.productID))
        case .itemAdded(let line): (nil, [line.productID])
        case .itemRemoved(let productID): (nil, [productID])
        default: nil
        }
    }

    /// The next request; nil if the step has been played.
    ///
    /// - Parameter names: the service's ids for ``wanted``.
    mutating func next(_ names: Names) -> RemoteCommand? {
        guard let event = pending.first else { return nil }
        let key = event.identity.eventID.description
        switch event.payload {
        case .orderCreated(let order):
            awaited = .order
            return post("/v1/orders", key) { Self.write(order, names, &$0) }
        case .itemAdded(let line):
            return order("/items", key) { Self.writeMembers(line, names, &$0) }
        case .itemRemoved(let productID):
            let product = names.products[productID] ?? productID
            return RemoteCommand(method: .delete, path: "\(orderPath)/items/\(product)", key: key)
        case .orderConfirmed: return order("/confirm", key)
        case .orderCancelled(let cancellation):
            return order("/cancel", key) { writer in
                writer.member("reason", cancellation.reason)
                writer.member("cancelledBy", cancellation.cancelledBy)
            }
        case .paymentCompleted(let payment):
            let id = event.identity.aggregateID
            guard let known = payments[id] else { return authorize(payment.money, payment.method, id, key) }
            return post("/v1/payments/\(known)/capture", key) { Self.write(payment.money, &$0) }
        case .paymentFailed(let payment):
            let id = event.identity.aggregateID
            guard let known = payments[id] else { return authorize(payment.money, "card", id, key) }
            return post("/v1/payments/\(known)/fail", key) { $0.member("reason", payment.reason) }
        case .paymentRefunded(let payment):
            return post("/v1/payments/\(payments[event.identity.aggregateID] ?? "none")/refund", key) { writer in
                Self.write(payment.money, &writer)
                writer.member("reason", payment.reason)
            }
        case .shipmentCreated(let shipment):
            awaited = .shipment(event.identity.aggregateID)
            return post("/v1/shipments", key) { writer in
                writer.member("orderId", orderID ?? "none")
                writer.member("carrier", shipment.carrier)
                writer.member("trackingNumber", shipment.trackingNumber)
            }
        case .shipmentDelivered:
            return RemoteCommand(
                path: "/v1/shipments/\(shipments[event.identity.aggregateID] ?? "none")/deliver", key: key)
        case .paymentAuthorized: preconditionFailure("histories contain no separate authorizations")
        }
    }

    /// Handles the acceptance of the request.
    ///
    /// - Parameter id: the id of the created resource.
    mutating func accepted(_ id: String?) {
        let created = awaited
        awaited = nil
        switch created {
        case .order: orderID = id
        case .shipment(let own): shipments[own] = id
        case .payment(let own):
            payments[own] = id
            // The payment now exists. The next request is that of the event itself.
            return
        case nil: break
        }
        let event = pending.removeFirst()
        if case .paymentFailed = event.payload { payments[event.identity.aggregateID] = nil }
    }

    // MARK: requests

    private var orderPath: String { "/v1/orders/\(orderID ?? "none")" }

    private mutating func authorize(_ money: Money, _ method: String, _ id: String, _ key: String) -> RemoteCommand {
        awaited = .payment(id)
        return post("/v1/payments", key + "-authorize") { writer in
            writer.member("orderId", orderID ?? "none")
            Self.write(money, &writer)
            writer.member("method", method)
        }
    }

    private func order(
        _ action: String, _ key: String, _ write: ((inout JSONWriter) -> Void)? = nil
    ) -> RemoteCommand {
        guard let write else { return RemoteCommand(path: orderPath + action, key: key) }
        return post(orderPath + action, key, write)
    }

    private func post(_ path: String, _ key: String, _ write: (inout JSONWriter) -> Void) -> RemoteCommand {
        RemoteCommand(path: path, body: JSONWriter.object(write), key: key)
    }

    private static func write(_ order: OrderCreated, _ names: Names, _ writer: inout JSONWriter) {
        writer.member("customerId", names.customer)
        writer.member("currency", order.currency.code)
        writer.key("items")
        writer.beginArray()
        for line in order.items {
            writer.beginObject()
            writeMembers(line, names, &writer)
            writer.endObject()
        }
        writer.endArray()
        writer.key("shippingAddress")
        order.shippingAddress.write(to: &writer)
    }

    private static func writeMembers(_ line: OrderLine, _ names: Names, _ writer: inout JSONWriter) {
        writer.member("productId", names.products[line.productID] ?? line.productID)
        writer.member("name", line.name)
        writer.member("quantity", line.quantity)
        writer.member("unitPrice", line.unitPrice)
    }

    private static func write(_ money: Money, _ writer: inout JSONWriter) {
        writer.member("amount", money.amount)
        writer.member("currency", money.currency.code)
    }
}

extension JSONWriter {
    /// A JSON object with the members that `write` writes.
    static func object(_ write: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        write(&writer)
        writer.endObject()
        return writer.finish()
    }
}
