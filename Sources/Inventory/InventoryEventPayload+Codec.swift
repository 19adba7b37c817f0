public import Events
public import WireJSON

extension InventoryEventPayload: EventPayload {
    public static func decode(
        _ type: InventoryEventType, _ fields: inout FieldReader
    ) throws(DecodeProblem) -> InventoryEventPayload {
        switch type {
        case .stockChanged: .stockChanged(try StockChanged(reading: &fields))
        }
    }

    public func write(to writer: inout JSONWriter) {
        switch self {
        case .stockChanged(let change): change.write(to: &writer)
        }
    }
}

extension StockChanged {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("reason", reason.rawValue)
        writer.member("quantity", quantity)
        if let reservation {
            writer.member("orderId", reservation.orderID)
            writer.member("reservedForOrder", reservation.quantity)
        }
        writer.member("onHand", onHand)
        writer.member("reserved", reserved)
        writer.member("available", available)
        writer.endObject()
    }

    /// Reads the payload. It does not need `available`, which follows from the other numbers and is for other readers.
    fileprivate init(reading fields: inout FieldReader) throws(DecodeProblem) {
        var (reason, orderID): (Reason?, String?) = (nil, nil)
        var (quantity, kept, onHand, reserved): (Int64?, Int64?, Int64?, Int64?) = (nil, nil, nil, nil)
        let start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if fields.matches(key, "reason") {
                try fields.once(reason == nil, key)
                reason = try Self.reason(&fields)
            } else if fields.matches(key, "quantity") {
                try fields.once(quantity == nil, key)
                quantity = try fields.integer()
            } else if fields.matches(key, "orderId") {
                try fields.once(orderID == nil, key)
                orderID = try fields.identity()
            } else if fields.matches(key, "reservedForOrder") {
                try fields.once(kept == nil, key)
                kept = try fields.integer()
            } else if fields.matches(key, "onHand") {
                try fields.once(onHand == nil, key)
                onHand = try fields.integer()
            } else if fields.matches(key, "reserved") {
                try fields.once(reserved == nil, key)
                reserved = try fields.integer()
            } else {
                try fields.skip()
            }
        }
        let found = try FieldReader.required(reason, "reason", in: start)
        guard let pieces = Int32(exactly: try FieldReader.required(quantity, "quantity", in: start)), pieces >= 1
        else { throw DecodeProblem(.invalidValue, at: start, "expected a quantity of 1–2147483647") }
        var reservation: Reservation?
        if found != .received {
            reservation = Reservation(
                orderID: try FieldReader.required(orderID, "orderId", in: start),
                quantity: try FieldReader.required(kept, "reservedForOrder", in: start))
        }
        self.init(
            reason: found, quantity: pieces, reservation: reservation,
            onHand: try FieldReader.required(onHand, "onHand", in: start),
            reserved: try FieldReader.required(reserved, "reserved", in: start))
        guard self.reserved >= 0, self.onHand >= self.reserved else {
            throw DecodeProblem(.invalidValue, at: start, "the reserved quantity is larger than the quantity on hand")
        }
    }

    private static func reason(_ fields: inout FieldReader) throws(DecodeProblem) -> Reason {
        let text = try fields.rawText()
        guard let reason = Reason(rawValue: try fields.string(of: text)) else {
            throw DecodeProblem(
                .invalidValue, at: text.range.lowerBound, "expected received, reserved, released or shipped")
        }
        return reason
    }
}
