public import Events
public import StreamCore

/// What a shipment, one parcel of an order, can be told.
public enum ShipmentCommand: Hashable, Sendable {
    case create(ShipmentCreated)
    case deliver
}

/// A shipment as its rules and its answers see it.
public struct ShipmentState: Hashable, Sendable, TenantOwned {
    /// What happened once: when, and by which event.
    public struct Moment: Hashable, Sendable {
        public let at: Timestamp
        public let eventID: EventID

        public init(at: Timestamp, eventID: EventID) {
            self.at = at
            self.eventID = eventID
        }

        init(_ identity: EventIdentity) {
            self.init(at: identity.timestamp, eventID: identity.eventID)
        }
    }

    /// Whose shipment it is, where tenants are told apart: the order's.
    public var tenantID: String?
    public var parcel: ShipmentCreated
    public var created: Moment
    public var delivered: Moment?

    /// The last event.
    public var last: Moment { delivered ?? created }

    public init(tenantID: String?, parcel: ShipmentCreated, created: Moment, delivered: Moment? = nil) {
        self.tenantID = tenantID
        self.parcel = parcel
        self.created = created
        self.delivered = delivered
    }
}

/// What the rules of shipments ask of the world.
public struct ShipmentDecisionFacts: Hashable, Sendable, TenantOwned {
    /// Who sends the command: another tenant's shipments and orders do not exist for it.
    public var tenantID: String?
    /// The order of a shipment that is created; nil where there is none.
    public var order: OrderState?

    public init(tenantID: String? = nil, order: OrderState? = nil) {
        self.tenantID = tenantID
        self.order = order
    }
}

/// The rules of shipments: a confirmed order is shipped in as many parcels as it needs, and each is delivered once.
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
        switch event.payload {
        case .shipmentCreated(let parcel):
            return ShipmentState(
                tenantID: event.metadata.tenantID, parcel: parcel, created: ShipmentState.Moment(event.identity))
        case .shipmentDelivered:
            guard var state else { return nil }
            state.delivered = ShipmentState.Moment(event.identity)
            return state
        case .orderCreated, .itemAdded, .itemRemoved, .orderConfirmed, .orderCancelled, .paymentCompleted,
            .paymentFailed, .paymentRefunded:
            return state
        }
    }
}
