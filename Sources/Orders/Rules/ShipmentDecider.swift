public import Events
internal import StreamCore

/// The commands of a shipment. A shipment is one parcel of an order.
public enum ShipmentCommand: Hashable, Sendable {
    case create(ShipmentCreated)
    case deliver
}

/// The state of a shipment that the rules and the answers need.
public struct ShipmentState: Hashable, Sendable, TenantOwned {
    /// The tenant of the shipment, which is the order's, if tenants are told apart.
    public var tenantID: String?
    public var parcel: ShipmentCreated
    public var created: EventMoment
    public var delivered: EventMoment?

    /// The last event.
    public var last: EventMoment { delivered ?? created }

    public init(tenantID: String?, parcel: ShipmentCreated, created: EventMoment, delivered: EventMoment? = nil) {
        self.tenantID = tenantID
        self.parcel = parcel
        self.created = created
        self.delivered = delivered
    }
}

/// What the rules of shipments need to know besides the shipment.
public struct ShipmentDecisionFacts: Hashable, Sendable, TenantOwned {
    /// The tenant that sends the command. Shipments and orders of other tenants do not exist for the command.
    public var tenantID: String?
    /// The order of a shipment that is created; nil if there is none.
    public var order: OrderState?

    public init(tenantID: String? = nil, order: OrderState? = nil) {
        self.tenantID = tenantID
        self.order = order
    }
}

/// The rules of shipments: a confirmed order is shipped in any number of parcels, and each parcel is delivered once.
public enum ShipmentDecider: TenantDecider {
    public typealias State = ShipmentState
    public typealias Command = ShipmentCommand
    public typealias Payload = OrderEventPayload
    public typealias Rules = ShipmentRule
    public typealias Facts = ShipmentDecisionFacts
    public typealias Refusal = Rejection<ShipmentRule>

    public static let kind = AggregateType.shipment
    public static let unknown = ShipmentRule.unknownShipment

    public static func decide(
        _ command: ShipmentCommand, _ state: ShipmentState?, _ facts: ShipmentDecisionFacts
    ) throws(Refusal) -> [OrderEventPayload] {
        switch command {
        case .create(let parcel):
            if state != nil { throw Refusal(.shipmentExists) }
            guard let order = facts.order, order.tenantID == facts.tenantID else {
                throw Refusal(.shipmentWithoutOrder)
            }
            if order.status != .confirmed {
                throw Refusal(.orderNotConfirmed, "The order is \(order.status.rawValue).")
            }
            return [.shipmentCreated(parcel)]
        case .deliver:
            let state = try known(state, facts)
            if state.delivered != nil { throw Refusal(.shipmentDelivered) }
            return [.shipmentDelivered(ShipmentDelivered(orderID: state.parcel.orderID))]
        }
    }

    public static func evolve(_ state: ShipmentState?, _ event: OrderEvent) -> ShipmentState? {
        let moment = EventMoment(at: event.identity.timestamp, eventID: event.identity.eventID)
        switch event.payload {
        case .shipmentCreated(let parcel):
            return ShipmentState(tenantID: event.metadata.tenantID, parcel: parcel, created: moment)
        case .shipmentDelivered:
            guard var state else { return nil }
            state.delivered = moment
            return state
        case .orderCreated, .itemAdded, .itemRemoved, .orderConfirmed, .orderCancelled, .paymentAuthorized,
            .paymentCompleted, .paymentFailed, .paymentRefunded:
            return state
        }
    }
}
