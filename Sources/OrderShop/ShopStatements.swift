internal import Events
internal import Orders
internal import Postgres
internal import StreamCore
internal import WireJSON

/// The writes of one transaction of the shop, collected as columns. There is one statement for each table, regardless
/// of the number of orders.
struct ShopStatements {
    /// A statement and the number of rows that it must change. Another number means that another writer was first.
    struct Write {
        let statement: Statement
        let parameters: Parameters
        let expectedRows: Int
        let table: String
    }

    private var orders = NewOrders()
    private var items = PutItems()
    private var removals = RemovedItems()
    private var changes = OrderChanges()
    private var payments = PaymentChanges()
    private var shipments = NewShipments()
    private var deliveries = Deliveries()
    private var outbox = OutboxWrite()

    /// - Parameter events: the events in order, at most one for each aggregate.
    init(_ events: [OrderEvent]) {
        for event in events { add(event) }
    }

    private mutating func add(_ event: OrderEvent) {
        outbox.append(event)
        switch event.payload {
        case .orderCreated(let order):
            orders.append(event, order)
            for line in order.items { items.append(event.orderID, line) }
        case .itemAdded(let line):
            items.append(event.orderID, line)
            changes.append(event, status: nil, itemsChanged: true)
        case .itemRemoved(let productID):
            removals.append(event.orderID, productID)
            changes.append(event, status: nil, itemsChanged: true)
        case .orderConfirmed:
            changes.append(event, status: "confirmed")
        case .orderCancelled(let cancellation):
            changes.append(event, status: "cancelled", reason: cancellation.reason, by: cancellation.cancelledBy)
        case .paymentAuthorized(let payment):
            payments.append(event, status: "authorized", payment.money, method: payment.method)
        case .paymentCompleted(let payment):
            payments.append(event, status: "completed", payment.money, method: payment.method)
        case .paymentFailed(let payment):
            payments.append(event, status: "failed", payment.money, reason: payment.reason)
        case .paymentRefunded(let payment):
            payments.append(event, status: "refunded", payment.money, reason: payment.reason)
        case .shipmentCreated(let shipment):
            shipments.append(event, shipment.carrier, shipment.trackingNumber)
        case .shipmentDelivered:
            deliveries.append(event)
        }
    }

    /// The statements in the order in which they must run. Statements without rows are left out.
    var writes: [Write] {
        [
            orders.write, items.write, removals.write, changes.write, payments.write, shipments.write,
            deliveries.write, outbox.write,
        ].filter { $0.expectedRows > 0 }
    }
}
