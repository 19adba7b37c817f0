public import Commands
internal import Events
public import Inventory
public import Postgres
internal import StreamCore

/// Stores the state of stock in two tables: `inventory` has a row for each product, and `inventory_reservations` has a
/// row for each product and order with a reservation.
public struct InventoryTables: Repository {
    public init() {}

    // MARK: reading

    public func reads(_ ids: [String], locking: Bool) -> [(Statement, Parameters)] {
        var keys = TextArray()
        for id in ids { keys.append(id) }
        var parameters = Parameters()
        parameters.append(keys)
        return [(locking ? Self.lock : Self.read, parameters)]
    }

    /// One statement is sufficient: after it has waited for a lock, it returns the current row.
    private static let lock: Statement = """
        SELECT product_id, tenant_id, on_hand, reserved, version, updated_at, last_event_id
        FROM inventory WHERE product_id = ANY($1) ORDER BY product_id FOR UPDATE
        """

    private static let read: Statement = """
        SELECT product_id, tenant_id, on_hand, reserved, version, updated_at, last_event_id
        FROM inventory WHERE product_id = ANY($1)
        """

    public func loaded(_ results: ArraySlice<QueryResult>) throws -> [String: Loaded<InventoryState>] {
        guard let rows = results.last else { return [:] }
        var found: [String: Loaded<InventoryState>] = [:]
        for row in 0..<rows.rowCount {
            let state = InventoryState(
                tenantID: try rows.optionalString(row, 1), onHand: try rows.int64(row, 2),
                reserved: try rows.int64(row, 3), updatedAt: try rows.timestamp(row, 5),
                lastEventID: try rows.eventID(row, 6))
            found[try rows.string(row, 0)] = Loaded(
                state, version: try rows.int64(row, 4), lastEventAt: state.updatedAt)
        }
        return found
    }

    // MARK: writing

    public func writes(_ changes: [Change<InventoryDecider>]) -> [(Statement, Parameters)] {
        var created = StockRows(), changed = StockRows(), kept = ReservationRows(), ended = ReservationRows()
        for change in changes {
            if let before = change.before {
                changed.append(change.id, change.after, expected: before.version)
            } else {
                created.append(change.id, change.after, expected: 0)
            }
            for (orderID, quantity) in Self.reservations(after: change.events) {
                if quantity > 0 {
                    kept.append(change.id, orderID, quantity)
                } else {
                    ended.append(change.id, orderID, quantity)
                }
            }
        }
        return created.insertion + changed.update + kept.upsert + ended.deletion
    }

    /// The reservations of the orders in `events`, after the last event.
    private static func reservations(after events: [InventoryEvent]) -> [(key: String, value: Int64)] {
        var reservations: [String: Int64] = [:]
        for event in events {
            switch event.payload {
            case .stockChanged(let change):
                if let reservation = change.reservation { reservations[reservation.orderID] = reservation.quantity }
            }
        }
        return reservations.sorted { $0.key < $1.key }
    }
}
