public import Events
public import StreamCore

/// The state of an order that the rules and the answers need.
public struct OrderState: Hashable, Sendable, TenantOwned {
    public enum Status: String, CaseIterable, Sendable {
        case created, confirmed, cancelled
    }

    /// When, why and by whom the order was cancelled.
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

    /// The tenant that owns the order; nil if there are no tenants.
    public var tenantID: String?
    public var customerID: String
    public var currency: Currency
    public var status: Status
    /// One line for each product, ordered by product id.
    public var lines: [OrderLine]
    public var shippingAddress: ShippingAddress
    public var createdAt: Timestamp
    public var updatedAt: Timestamp
    public var confirmedAt: Timestamp?
    public var cancellation: Cancellation?
    public var lastEventID: EventID

    public init(
        tenantID: String?, customerID: String, currency: Currency, status: Status, lines: [OrderLine],
        shippingAddress: ShippingAddress, createdAt: Timestamp, updatedAt: Timestamp, confirmedAt: Timestamp? = nil,
        cancellation: Cancellation? = nil, lastEventID: EventID
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
    }

    /// The sum of the lines; nil if it has more digits than an amount may have. The rules prevent that.
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

    /// Replaces the line of the same product, or inserts the line so that the order by product id is kept.
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
