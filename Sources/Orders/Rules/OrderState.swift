public import Events
public import StreamCore

/// An order as its rules and its answers see it.
public struct OrderState: Hashable, Sendable {
    public enum Status: String, CaseIterable, Sendable {
        case created, confirmed, cancelled
    }

    /// Who called it off, and why.
    public struct Cancellation: Hashable, Sendable {
        public let at: Timestamp
        public let reason: String
        public let by: String

        public init(at: Timestamp, reason: String, by: String) {
            self.at = at
            self.reason = reason
            self.by = by
        }
    }

    /// Whose order it is, where tenants are told apart.
    public var tenantID: String?
    public var customerID: String
    public var currency: Currency
    public var status: Status
    /// One for each product, in the order of the products' ids.
    public var lines: [OrderLine]
    public var shippingAddress: ShippingAddress
    public var createdAt: Timestamp
    public var updatedAt: Timestamp
    public var confirmedAt: Timestamp?
    public var cancellation: Cancellation?
    public var lastEventID: EventID
    /// Whether a parcel is on its way: a fact of shipments, whose events are not the order's.
    public var isShipped: Bool

    public init(
        tenantID: String?, customerID: String, currency: Currency, status: Status, lines: [OrderLine],
        shippingAddress: ShippingAddress, createdAt: Timestamp, updatedAt: Timestamp, confirmedAt: Timestamp? = nil,
        cancellation: Cancellation? = nil, lastEventID: EventID, isShipped: Bool = false
    ) {
        self.tenantID = tenantID
        self.customerID = customerID
        self.currency = currency
        self.status = status
        self.lines = lines
        self.shippingAddress = shippingAddress
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.confirmedAt = confirmedAt
        self.cancellation = cancellation
        self.lastEventID = lastEventID
        self.isShipped = isShipped
    }

    /// The sum of the lines. Nil when it has more digits than an amount may have, which no rule lets happen.
    public var total: DecimalAmount? { Self.total(of: lines) }

    static func total(of lines: [OrderLine]) -> DecimalAmount? {
        var total = DecimalAmount.zero
        for line in lines {
            guard let price = try? line.unitPrice.multiplied(by: Int64(line.quantity)),
                let sum = try? total.adding(price), sum.integerDigits <= FieldReader.maximumIntegerDigits
            else { return nil }
            total = sum
        }
        return total
    }

    /// Puts a line in the place of the one of the same product, or where its product stands among the others.
    mutating func put(_ line: OrderLine) {
        if let index = lines.firstIndex(where: { $0.productID >= line.productID }) {
            if lines[index].productID == line.productID {
                lines[index] = line
            } else {
                lines.insert(line, at: index)
            }
        } else {
            lines.append(line)
        }
    }
}
