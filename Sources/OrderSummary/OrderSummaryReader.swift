public import Orders
public import Postgres
internal import StreamCore
internal import WireJSON

/// A stored row: the facts, and what the table derives from them.
public struct StoredOrderSummary: Hashable, Sendable {
    public let row: OrderSummaryRow
    public let status: String
    public let paymentStatus: String
    public let shipmentStatus: String
    public let isOpen: Bool
    public let itemCount: Int64?
    public let totalAmount: DecimalAmount?
}

/// Reads rows of the read model back as the facts that they are made of.
public enum OrderSummaryReader {
    /// The rows behind `orderID` in the order of the ids' bytes.
    ///
    /// - Parameters:
    ///   - orderID: the last id that was read; nil to begin.
    ///   - limit: how many rows at most.
    /// - Throws: `PostgresError`; another error when a row is not of the form that this program writes.
    public static func rows(
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
        SELECT order_id, version, updated_at, last_event_id, confirmed_at, items, removed_items,
            (created).at, (created).event_id, (created).customer_id, (created).currency, (created).shipping_address,
            (cancelled).at, (cancelled).event_id, (cancelled).reason, (cancelled).cancelled_by,
            (paid).at, (paid).event_id, (paid).payment_id, (paid).amount, (paid).currency, (paid).detail,
            (failed).at, (failed).event_id, (failed).payment_id, (failed).amount, (failed).currency, (failed).detail,
            (refunded).at, (refunded).event_id, (refunded).payment_id, (refunded).amount, (refunded).currency,
            (refunded).detail,
            (shipped).at, (shipped).event_id, (shipped).shipment_id, (shipped).carrier, (shipped).tracking_number,
            (delivered).at, (delivered).event_id, (delivered).shipment_id,
            status, payment_status, shipment_status, is_open, item_count, total_amount
        FROM order_summary_v1
        WHERE order_id > $1
        ORDER BY order_id
        LIMIT $2
        """)
}

/// The columns of one row, taken one after the other.
private struct ResultFields {
    private let result: QueryResult
    private let row: Int
    private var column = 0

    init(_ result: QueryResult, _ row: Int) {
        self.result = result
        self.row = row
    }

    mutating func stored() throws -> StoredOrderSummary {
        var summary = OrderSummaryRow(
            orderID: try text(), version: try result.int64(row, next()), updatedAt: try result.timestamp(row, next()),
            lastEventID: try result.eventID(row, next()), confirmedAt: try result.optionalTimestamp(row, next()),
            items: try items())
        summary.restore(
            created: try register { fields in
                CreatedFact(
                    customerID: try fields.text(), currency: try fields.currency(),
                    shippingAddress: try fields.address())
            },
            cancelled: try register { fields in
                OrderCancelled(reason: try fields.text(), cancelledBy: try fields.text())
            },
            paid: try payment(), failed: try payment(), refunded: try payment(),
            shipped: try register { fields in
                ShippedFact(
                    shipmentID: try fields.text(), carrier: try fields.text(), trackingNumber: try fields.text())
            },
            delivered: try register { fields in DeliveredFact(shipmentID: try fields.text()) })
        return StoredOrderSummary(
            row: summary, status: try text(), paymentStatus: try text(), shipmentStatus: try text(),
            isOpen: try result.bool(row, next()), itemCount: try result.optionalInt64(row, next()),
            totalAmount: try optionalAmount())
    }

    private mutating func next() -> Int {
        defer { column += 1 }
        return column
    }

    private mutating func text() throws -> String { try result.string(row, next()) }

    private mutating func amount() throws -> DecimalAmount {
        let value = try result.decimal(row, next())
        return DecimalAmount(coefficient: value.coefficient, scale: value.scale)
    }

    private mutating func optionalAmount() throws -> DecimalAmount? {
        if result.isNull(row, column) { return nil }
        return try amount()
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

    private mutating func address() throws -> ShippingAddress {
        let column = next()
        var reader = try JSONReader(try result.textBytes(row, column))
        let json = try JSONValue(from: &reader)
        func text(_ key: String) throws(StoredItemsError) -> String {
            guard case .string(let text)? = json[key] else { throw StoredItemsError() }
            return text
        }
        return ShippingAddress(
            name: try text("name"), street: try text("street"), city: try text("city"),
            postalCode: try text("postalCode"), country: try text("country"))
    }

    private mutating func payment() throws -> Register<PaymentFact>? {
        try register { fields in
            let paymentID = try fields.text()
            let amount = try fields.amount()
            let money = Money(amount, try fields.currency())
            return PaymentFact(paymentID: paymentID, money: money, detail: try fields.text())
        }
    }

    /// A fact by its fields; nil when the row has none, with all its columns passed.
    private mutating func register<Fact>(_ read: (inout ResultFields) throws -> Fact) throws -> Register<Fact>? {
        guard let at = try result.optionalTimestamp(row, next()) else {
            column += 1 + Self.fieldCount(of: Fact.self)
            return nil
        }
        let eventID = try result.eventID(row, next())
        return Register(at: at, eventID: eventID, fact: try read(&self))
    }

    private static func fieldCount<Fact>(of type: Fact.Type) -> Int {
        switch type {
        case is PaymentFact.Type: 4
        case is CreatedFact.Type, is ShippedFact.Type: 3
        case is OrderCancelled.Type: 2
        default: 1
        }
    }
}
