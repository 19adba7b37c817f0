public import Commands
internal import Events
public import Orders

/// Ships a parcel of an order, with a new id.
public struct CreateShipment: Command, Hashable {
    public static let name = "CreateShipment"
    public let shipmentID: String
    public let parcel: ShipmentCreated

    public init(shipmentID: String, parcel: ShipmentCreated) {
        self.shipmentID = shipmentID
        self.parcel = parcel
    }
}

/// Marks a parcel as delivered.
public struct DeliverShipment: Command, Hashable {
    public static let name = "DeliverShipment"
    public let shipmentID: String

    public init(shipmentID: String) {
        self.shipmentID = shipmentID
    }
}

/// The commands of shipments, for a command bus. They read orders, which must be in the same database.
public enum ShipmentCommands {
    public static let all: [any Command.Type] = [CreateShipment.self, DeliverShipment.self]

    static let resource = AggregateResource<ShipmentDecider>(
        "/v1/shipments", idPrefix: "shp", document: ShipmentDocument.json)

    public static let handlers: [CommandHandler] = [
        // Reads the order as an aggregate. Its lock prevents the order from being cancelled before this transaction
        // ends.
        resource.handler(
            CreateShipment.self, { $0.shipmentID }, { .create($0.parcel) }, with: [OrderDecider.self],
            reads: { command, plan in
                plan.aggregate(OrderDecider.self, command.parcel.orderID)
                plan.fact(HasShipments.self, command.parcel.orderID)
            },
            facts: { command, scope in
                ShipmentDecisionFacts(
                    tenantID: scope.tenantID,
                    order: scope.aggregate(OrderDecider.self, command.parcel.orderID)?.state)
            },
            then: { command, scope in scope.changeFact(HasShipments.self, command.parcel.orderID) { $0 = true } }),
        resource.handler(
            DeliverShipment.self, { $0.shipmentID }, { _ in .deliver },
            facts: { _, scope in ShipmentDecisionFacts(tenantID: scope.tenantID) }),
    ]
}
