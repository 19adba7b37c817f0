public import Events

/// The facts of one shipment: its last creation and its last delivery.
public struct ShipmentFacts<Fact: Hashable & Sendable>: AggregateFacts {
    public let id: String
    public private(set) var created: Register<Fact>?
    public private(set) var delivered: EventStamp?

    public init(id: String, created: Register<Fact>? = nil, delivered: EventStamp? = nil) {
        self.id = id
        self.created = created
        self.delivered = delivered
    }

    public mutating func merge(_ other: Self) {
        Register.merge(other.created, into: &created)
        EventStamp.merge(other.delivered, into: &delivered)
    }

    @inlinable
    public var last: EventStamp? {
        var last = created?.stamp
        EventStamp.merge(delivered, into: &last)
        return last
    }
}
