public import Events

/// What became of one product of an order: the line that the order's last event about it left there, or that it
/// removed it.
public struct LineEntry: Hashable, Sendable {
    public let productID: String
    /// Of the order's event that says so; 0 when that has none.
    public let sequence: Int64
    /// Of that event, when it has no sequence: nothing else orders it. Nil otherwise.
    public let moment: EventMoment?
    /// nil: removed.
    public let line: OrderLine?

    public init(productID: String, stamp: EventStamp, line: OrderLine?) {
        self.productID = productID
        self.sequence = stamp.sequence
        self.moment = stamp.sequence == 0 ? stamp.moment : nil
        self.line = line
    }

    /// An entry that was stored.
    public init(productID: String, sequence: Int64, moment: EventMoment? = nil, line: OrderLine?) {
        self.productID = productID
        self.sequence = sequence
        self.moment = moment
        self.line = line
    }

    /// Whether `other`, of the same product, takes this one's place. Two events of one sequence are a fault of their
    /// writer; which of them holds is decided by what they say, so that it is the same everywhere.
    public func isBefore(_ other: Self) -> Bool {
        if sequence != other.sequence { return sequence < other.sequence }
        if let moment, let otherMoment = other.moment, moment != otherMoment { return moment < otherMoment }
        guard let line, let otherLine = other.line else { return line != nil && other.line == nil }
        if line.quantity != otherLine.quantity { return line.quantity < otherLine.quantity }
        if line.unitPrice != otherLine.unitPrice { return line.unitPrice < otherLine.unitPrice }
        if line.unitPrice.scale != otherLine.unitPrice.scale { return line.unitPrice.scale < otherLine.unitPrice.scale }
        return ExactText.compare(line.name, otherLine.name) < 0
    }
}
