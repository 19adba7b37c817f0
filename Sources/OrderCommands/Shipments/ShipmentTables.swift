public import Commands
internal import Events
public import Orders
internal import StreamCore

/// Stores shipments in the shop's table `shipments`. A shipment has the tenant of its order, which never changes.
public struct ShipmentTables: StateRepository {
    public typealias D = ShipmentDecider

    public init() {}

    public static let table = StateTable<D>(
        "shipments", key: "shipment_id", noun: "a shipment", join: "JOIN orders AS o ON o.order_id = t.order_id",
        columns: [
            .joined("o.tenant_id"),
            .text("order_id") { $0.parcel.orderID }.constant,
            .text("carrier") { $0.parcel.carrier }.constant,
            .text("tracking_number") { $0.parcel.trackingNumber }.constant,
            .moment("created_at", "created_event_id") { $0.created }.constant,
            .moment("delivered_at", "delivered_event_id") { $0.delivered },
            .text("status") { $0.status }.derived,
            .moment("updated_at", "last_event_id") { $0.last }.derived,
        ],
        lastEventAt: { $0.last.at },
        state: Self.state)

    private static func state(_ row: inout StateRow) throws -> ShipmentState {
        ShipmentState(
            tenantID: try row.optionalText(),
            parcel: ShipmentCreated(
                orderID: try row.text(), carrier: try row.text(), trackingNumber: try row.text()),
            created: try row.moment(), delivered: try row.optionalMoment())
    }
}
