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
        case .shipmentExists: "There is a shipment with this id."
        case .shipmentWithoutOrder: "There is no order to ship."
        case .orderNotConfirmed: "An order is shipped after it is confirmed, and not after it is cancelled."
        case .shipmentDelivered: "A shipment is delivered once."
        }
    }
}
