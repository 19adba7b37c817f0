public import Events

/// The rules of shipments.
public enum ShipmentRule: String, Rule {
    case unknownShipment = "unknown-shipment"
    case shipmentExists = "shipment-exists"
    case shipmentWithoutOrder = "shipment-without-order"
    case orderNotConfirmed = "order-not-confirmed"
    case shipmentDelivered = "shipment-delivered"

    public var kind: RuleKind {
        switch self {
        case .unknownShipment: .notFound
        case .shipmentExists, .orderNotConfirmed, .shipmentDelivered: .conflict
        case .shipmentWithoutOrder: .invalid
        }
    }

    public var summary: String {
        switch self {
        case .unknownShipment: "There is no such shipment."
        case .shipmentExists: "A shipment with this id already exists."
        case .shipmentWithoutOrder: "The order of the shipment does not exist."
        case .orderNotConfirmed: "Only a confirmed order can be shipped."
        case .shipmentDelivered: "The shipment was already delivered."
        }
    }
}
