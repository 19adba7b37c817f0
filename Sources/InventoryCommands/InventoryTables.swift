public import Commands
internal import Events
public import Inventory
public import Postgres
internal import StreamCore

/// Stores the state of stock in two tables: `inventory` has a row for each product, and `inventory_reservations` has a
/// row for each product and order with a reservation.
public struct InventoryTables: StateRepository {
    public typealias D = InventoryDecider

    public init() {}

    public static let table = StateTable<D>(
        "inventory", key: "product_id", noun: "the stock of a product",
        columns: [
            .text("tenant_id") { $0.tenantID }.constant,
            .bigint("on_hand") { $0.onHand },
            .bigint("reserved") { $0.reserved },
            .timestamp("updated_at") { $0.updatedAt },
            .uuid("last_event_id") { $0.lastEventID },
        ],
        lastEventAt: { $0.updatedAt },
        state: Self.state)

    private static func state(_ row: inout StateRow) throws -> InventoryState {
        InventoryState(
            tenantID: try row.optionalText(), onHand: try row.bigint(), reserved: try row.bigint(),
            updatedAt: try row.timestamp(), lastEventID: try row.uuid())
    }

    public func writes(_ changes: [Change<InventoryDecider>]) -> [(Statement, Parameters)] {
        var kept = ReservationRows(), ended = ReservationRows()
        for change in changes {
            for (orderID, quantity) in Self.reservations(after: change.events) {
                if quantity > 0 {
                    kept.append(change.id, orderID, quantity)
                } else {
                    ended.append(change.id, orderID, quantity)
                }
            }
        }
        return Self.table.writes(changes) + kept.upsert + ended.deletion
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
