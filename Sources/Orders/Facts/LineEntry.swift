public import Events

/// The last known state of one product in an order: the line from the last event about it, or its removal.
public struct LineEntry: Hashable, Sendable {
    public let productID: String
    /// The sequence of the order's event; 0 if the event has none.
    public let sequence: Int64
    /// The moment of the event if it has no sequence, because nothing else orders it; otherwise nil.
    public let moment: EventMoment?
    /// The line; nil if the product was removed.
    public let line: OrderLine?

    public init(productID: String, stamp: EventStamp, line: OrderLine?) {
        self.productID = productID
        self.sequence = stamp.sequence
        self.moment = stamp.sequence == 0 ? stamp.moment : nil
        self.line = line
    }

    /// Creates an entry from stored values.
    public init(productID: String, sequence: Int64, moment: EventMoment? = nil, line: OrderLine?) {
        self.productID = productID
        self.sequence = sequence
        self.moment = moment
        self.line = line
    }

    /// Whether `other`, an entry of the same product, replaces this one. If two events have the same sequence, which is
    /// an error of their writer, their contents decide, so that the result is the same everywhere.
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
