package import Events
package import OrderSummary
internal import Orders
package import Postgres
package import StreamCore
internal import WireJSON

/// A stored row: the facts, and the columns that the table derives from them.
package struct StoredOrderSummary: Hashable, Sendable {
    package let row: OrderSummaryRow
    package let status: String
    package let paymentStatus: String
    package let shipmentStatus: String
    package let isOpen: Bool
    package let itemCount: Int64?
    package let totalAmount: DecimalAmount?
    package let updatedAt: Timestamp
    package let lastEventID: EventID
    /// The ids of the events that are shown: paid, failed, refunded, shipped, delivered.
    package let shownEventIDs: [EventID?]
    package let confirmedAt: Timestamp?
}

/// Reads the facts of stored rows.
package enum OrderSummaryReader {
    /// The rows after `orderID`, in the byte order of the ids.
    ///
    /// - Parameters:
    ///   - orderID: the last id that was read; nil to begin.
    ///   - limit: maximum number of rows.
    /// - Throws: `PostgresError`; another error if a row has a form that this program does not write.
    package static func rows(
        after orderID: String? = nil, limit: Int32, on connection: PostgresConnection
    ) async throws -> [StoredOrderSummary] {
        let result = try await connection.execute(
            select,
            Parameters {
                $0.append(orderID ?? "")
                $0.append(limit)
            })
        return try (0..<result.rowCount).map { row in
            var fields = ResultFields(result, row)
            return try fields.stored()
        }
    }

    private static let select = Statement(
        """
        SELECT order_id, version, (order_changed).at, (order_changed).event_id,
            (confirmed).sequence, (confirmed).at, (confirmed).event_id, items, removed_items,
            created_sequence, (created).at, (created).event_id,
            (created).customer_id, (created).currency, (created).shipping_address,
            cancelled_sequence, (cancelled).at, (cancelled).event_id, (cancelled).reason, (cancelled).cancelled_by,
            to_jsonb(payments), to_jsonb(shipments),
            status, payment_status, shipment_status, is_open, item_count, total_amount, updated_at, last_event_id,
            (paid).event_id, (failed).event_id, (refunded).event_id, (shipped).event_id, (delivered).event_id,
            confirmed_at
        FROM order_summary_rows
        WHERE order_id > $1
        ORDER BY order_id
        LIMIT $2
        """)
}

/// Reads the columns of one row in their order.
private struct ResultFields {
    private let result: QueryResult
    private let row: Int
    private var column = 0

    init(_ result: QueryResult, _ row: Int) {
        self.result = result
        self.row = row
    }

    mutating func stored() throws -> StoredOrderSummary {
        let orderID = try text()
        let version = try result.int64(row, next())
        let last = try moment().map { EventStamp(sequence: version, moment: $0) }
        let confirmed = try stamp()
        let items = try items()
        let created = try register { fields in
            CreatedFact(
                customerID: try fields.text(), currency: try fields.currency(),
                shippingAddress: try fields.address())
        }
        let cancelled = try register { fields in
            OrderCancelled(reason: try fields.text(), cancelledBy: try fields.text())
        }
        let summary = OrderSummaryRow(
            orderID: orderID, last: last, confirmed: confirmed, items: items, created: created, cancelled: cancelled,
            payments: AggregateMap(try elements().map { try StoredFact($0).payment() }),
            shipments: AggregateMap(try elements().map { try StoredFact($0).shipment() }))
        return StoredOrderSummary(
            row: summary, status: try text(), paymentStatus: try text(), shipmentStatus: try text(),
            isOpen: try result.bool(row, next()), itemCount: try result.optionalInt64(row, next()),
            totalAmount: try optionalAmount(), updatedAt: try result.timestamp(row, next()),
            lastEventID: try result.eventID(row, next()),
            shownEventIDs: try (0..<5).map { _ in try optionalEventID() },
            confirmedAt: try result.optionalTimestamp(row, next()))
    }

    private mutating func next() -> Int {
        defer { column += 1 }
        return column
    }

    private mutating func text() throws -> String { try result.string(row, next()) }

    private mutating func optionalEventID() throws -> EventID? {
        let column = next()
        return result.isNull(row, column) ? nil : try result.eventID(row, column)
    }

    private mutating func optionalAmount() throws -> DecimalAmount? {
        let column = next()
        if result.isNull(row, column) { return nil }
        let value = try result.decimal(row, column)
        return DecimalAmount(coefficient: value.coefficient, scale: value.scale)
    }

    private mutating func currency() throws -> Currency {
        guard let currency = Currency(try text()) else { throw StoredItemsError() }
        return currency
    }

    private mutating func items() throws -> OrderItems? {
        let (lines, removals) = (next(), next())
        if result.isNull(row, lines) { return nil }
        return try OrderItems(lines: result.textBytes(row, lines), removals: result.textBytes(row, removals))
    }

    private mutating func json() throws -> JSONValue {
        let column = next()
        if result.isNull(row, column) { return .null }
        var reader = try JSONReader(try result.textBytes(row, column))
        return try JSONValue(from: &reader)
    }

    private mutating func elements() throws -> [JSONValue] {
        guard case .array(let elements) = try json() else { return [] }
        return elements
    }

    private mutating func address() throws -> ShippingAddress {
        let json = StoredFact(try json())
        return ShippingAddress(
            name: try json.text("name"), street: try json.text("street"), city: try json.text("city"),
            postalCode: try json.text("postalCode"), country: try json.text("country"))
    }

    private mutating func moment() throws -> EventMoment? {
        let (at, eventID) = (try result.optionalTimestamp(row, next()), try optionalEventID())
        guard let at, let eventID else { return nil }
        return EventMoment(at: at, eventID: eventID)
    }

    private mutating func stamp() throws -> EventStamp? {
        let sequence = try result.optionalInt64(row, next())
        let moment = try moment()
        guard let sequence, let moment else { return nil }
        return EventStamp(sequence: sequence, moment: moment)
    }

    /// Reads a fact from its columns; nil if the row has none. Advances past all columns of the fact.
    private mutating func register<Fact>(_ read: (inout ResultFields) throws -> Fact) throws -> Register<Fact>? {
        guard let stamp = try stamp() else {
            column += Fact.self == CreatedFact.self ? 3 : 2
            return nil
        }
        return Register(stamp, try read(&self))
    }
}

/// An element of the columns `payments` or `shipments` in PostgreSQL's JSON form.
private struct StoredFact {
    private let json: JSONValue

    init(_ json: JSONValue) {
        self.json = json
    }

    func payment() throws -> PaymentFacts<PaymentFact> {
        guard case .number(let digits)? = json["amount"], let currency = Currency(try text("currency")) else {
            throw StoredItemsError()
        }
        let id = try text("payment_id")
        let money = Money(try DecimalAmount(digits), currency)
        let register = Register(try stamp(), PaymentFact(paymentID: id, money: money, detail: try text("detail")))
        switch try text("fate") {
        case "completed": return PaymentFacts(id: id, completed: register)
        case "failed": return PaymentFacts(id: id, failed: register)
        case "refunded": return PaymentFacts(id: id, refunds: [register])
        default: throw StoredItemsError()
        }
    }

    func shipment() throws -> ShipmentFacts<ShippedFact> {
        let id = try text("shipment_id")
        switch try text("fate") {
        case "created":
            let fact = ShippedFact(
                shipmentID: id, carrier: try text("carrier"), trackingNumber: try text("tracking_number"))
            return ShipmentFacts(id: id, created: Register(try stamp(), fact))
        case "delivered": return ShipmentFacts(id: id, delivered: try stamp())
        default: throw StoredItemsError()
        }
    }

    func text(_ key: String) throws(StoredItemsError) -> String {
        guard case .string(let text)? = json[key] else { throw StoredItemsError() }
        return text
    }

    private func stamp() throws(StoredItemsError) -> EventStamp {
        guard case .number(let digits)? = json["sequence"], let sequence = Int64(digits),
            let at = Timestamp(try text("at")), let eventID = EventID(try text("event_id"))
        else { throw StoredItemsError() }
        return EventStamp(sequence: sequence, moment: EventMoment(at: at, eventID: eventID))
    }
}
