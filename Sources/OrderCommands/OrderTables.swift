public import Commands
internal import Events
public import Orders
public import Postgres
internal import StreamCore
internal import WireJSON

/// Stores orders in the shop's tables `orders` and `order_items`.
///
/// It reads an order and its lines with one statement of its own, so that both come from one snapshot.
public struct OrderTables: Repository {
    public init() {}

    // MARK: reading

    public func reads(_ ids: [String], locking: Bool) -> [(Statement, Parameters)] {
        var keys = TextArray()
        for id in ids { keys.append(id) }
        var parameters = Parameters()
        parameters.append(keys)
        // A separate statement reads the rows, because the snapshot of the locking statement is older than the lock,
        // and could miss changed items.
        return (locking ? [(Self.lock, parameters)] : []) + [(Self.read, parameters)]
    }

    /// The row of a parcel has a foreign key to the order. So a parcel is inserted before this lock is taken or after
    /// it is released.
    private static let lock: Statement = """
        SELECT 1 FROM orders WHERE order_id = ANY($1) ORDER BY order_id FOR UPDATE
        """

    private static let read: Statement = """
        SELECT o.order_id, o.tenant_id, o.customer_id, o.currency, o.status, o.shipping_address, o.version,
            o.created_at, o.confirmed_at, o.cancelled_at, o.cancel_reason, o.cancelled_by, o.updated_at,
            o.last_event_id, i.product_id, i.name, i.quantity, i.unit_price
        FROM orders AS o LEFT JOIN order_items AS i ON i.order_id = o.order_id
        WHERE o.order_id = ANY($1)
        ORDER BY o.order_id
        """

    public func loaded(_ results: ArraySlice<QueryResult>) throws -> [String: Loaded<OrderState>] {
        guard let rows = results.last else { return [:] }
        var found: [String: Loaded<OrderState>] = [:]
        var row = 0
        while row < rows.rowCount {
            let id = try rows.string(row, 0)
            let first = row
            var lines: [OrderLine] = []
            while row < rows.rowCount, try rows.string(row, 0) == id {
                if !rows.isNull(row, 14) { lines.append(try Self.line(rows, row)) }
                row += 1
            }
            let state = try Self.state(rows, first, lines.sorted { $0.productID < $1.productID })
            found[id] = Loaded(state, version: try rows.int64(first, 6), lastEventAt: state.updatedAt)
        }
        return found
    }

    private static func line(_ rows: QueryResult, _ row: Int) throws -> OrderLine {
        let (coefficient, scale) = try rows.decimal(row, 17)
        return OrderLine(
            productID: try rows.string(row, 14), name: try rows.string(row, 15), quantity: try rows.int32(row, 16),
            unitPrice: DecimalAmount(coefficient: coefficient, scale: scale))
    }

    private static func state(_ rows: QueryResult, _ row: Int, _ lines: [OrderLine]) throws -> OrderState {
        guard let currency = Currency(try rows.string(row, 3)),
            let status = OrderState.Status(rawValue: try rows.string(row, 4))
        else { throw StoredStateError("an order has an unknown currency or status") }
        let cancellation = try rows.optionalTimestamp(row, 9).map { at in
            OrderState.Cancellation(
                at: at, reason: try rows.optionalString(row, 10) ?? "", by: try rows.optionalString(row, 11) ?? "")
        }
        let json = try rows.textBytes(row, 5)
        let address: ShippingAddress
        do {
            address = try ShippingAddress(json: json)
        } catch {
            throw StoredStateError("an order's shipping address: \(error)")
        }
        return OrderState(
            tenantID: try rows.optionalString(row, 1), customerID: try rows.string(row, 2), currency: currency,
            status: status, lines: lines, shippingAddress: address, createdAt: try rows.timestamp(row, 7),
            updatedAt: try rows.timestamp(row, 12), confirmedAt: try rows.optionalTimestamp(row, 8),
            cancellation: cancellation, lastEventID: try rows.eventID(row, 13))
    }

    // MARK: writing

    private static let writer = StateWriter<OrderDecider>(
        "orders", key: "order_id", noun: "an order",
        columns: [
            .text("tenant_id") { $0.tenantID }.constant,
            .text("customer_id") { $0.customerID }.constant,
            .text("currency") { $0.currency.code }.constant,
            .json("shipping_address") { $0.shippingAddress.write(to: &$1) }.constant,
            .timestamp("created_at") { $0.createdAt }.constant,
            .text("status") { $0.status.rawValue },
            .numeric("total_amount") { $0.total ?? .zero },
            .timestamp("confirmed_at") { $0.confirmedAt },
            .timestamp("cancelled_at") { $0.cancellation?.at },
            .text("cancel_reason") { $0.cancellation?.reason },
            .text("cancelled_by") { $0.cancellation?.by },
            .timestamp("updated_at") { $0.updatedAt },
            .uuid("last_event_id") { $0.lastEventID },
        ])

    public func writes(_ changes: [Change<OrderDecider>]) -> [(Statement, Parameters)] {
        var put = ItemRows(), removed = ItemKeys()
        for change in changes {
            let old = change.before?.state.lines ?? []
            for line in change.after.state.lines where !old.contains(line) { put.append(change.id, line) }
            for line in old where !change.after.state.lines.contains(where: { $0.productID == line.productID }) {
                removed.append(change.id, line.productID)
            }
        }
        return Self.writer.writes(changes) + put.upsert + removed.deletion
    }
}

extension ShippingAddress {
    /// Reads the address from the same JSON object that events contain.
    fileprivate init(json: Span<UInt8>) throws(EventDecodeError) {
        do {
            var fields = try FieldReader(json)
            self = try ShippingAddress(reading: &fields)
        } catch {
            throw error.located(in: json)
        }
    }
}
