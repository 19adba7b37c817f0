internal import Events
internal import Orders
internal import StreamCore
internal import WireJSON

/// The columns `lines`, `payments` or `shipments` of a stored row have an invalid form.
struct StoredFactsError: Error, CustomStringConvertible {
    var description: String { "the lines, payments or shipments of a stored order do not have the expected form" }
}

/// The column `lines`: `[[productId, sequence, quantity, "unitPrice", name], …]`, and `[productId, sequence]` for a
/// removed line. If the event has no sequence, `[µs since 1970, eventId]` replaces it.
extension OrderLines {
    func json() -> [UInt8] {
        var writer = JSONWriter()
        writer.beginArray()
        for entry in entries {
            writer.beginArray()
            writer.string(entry.productID)
            if let moment = entry.moment {
                writer.beginArray()
                writer.number(moment.at.microseconds)
                writer.string(moment.eventID)
                writer.endArray()
            } else {
                writer.number(entry.sequence)
            }
            if let line = entry.line {
                writer.number(line.quantity)
                writer.string(line.unitPrice)
                writer.string(line.name)
            }
            writer.endArray()
        }
        writer.endArray()
        return writer.finish()
    }

    init(json: Span<UInt8>) throws(StoredFactsError) {
        do {
            var entries: [Entry] = []
            var reader = try JSONReader(json)
            try reader.enterArray()
            while try reader.nextElement() { entries.append(try Self.readEntry(&reader)) }
            try reader.finish()
            self.init(stored: entries)
        } catch {
            throw StoredFactsError()
        }
    }

    private static func readEntry(_ reader: inout JSONReader) throws -> Entry {
        try reader.enterArray()
        let productID = try reader.nextString()
        guard try reader.nextElement() else { throw StoredFactsError() }
        var sequence: Int64 = 0
        var moment: EventMoment?
        if try reader.peek() == .array {
            try reader.enterArray()
            moment = try reader.nextMoment()
            try reader.endArray()
        } else {
            sequence = try reader.readInt64()
        }
        guard try reader.nextElement() else {
            return Entry(productID: productID, sequence: sequence, moment: moment, line: nil)
        }
        guard let quantity = Int32(exactly: try reader.readInt64()) else { throw StoredFactsError() }
        let unitPrice = try reader.nextAmount()
        let name = try reader.nextString()
        try reader.endArray()
        let line = OrderLine(productID: productID, name: name, quantity: quantity, unitPrice: unitPrice)
        return Entry(productID: productID, sequence: sequence, moment: moment, line: line)
    }
}

/// The column `payments`: `[[paymentId, completed, failed, refunds], …]`. `completed` and `failed` are null or
/// `[sequence, µs since 1970, eventId, "amount", currency]`. `refunds` is null or an array of such arrays.
extension PaymentFacts<Money> {
    static func json(_ payments: AggregateMap<PaymentFacts>) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginArray()
        for payment in payments.all {
            writer.beginArray()
            writer.string(payment.id)
            write(payment.completed, to: &writer)
            write(payment.failed, to: &writer)
            if payment.refunds.isEmpty {
                writer.null()
            } else {
                writer.beginArray()
                for refund in payment.refunds { write(refund, to: &writer) }
                writer.endArray()
            }
            writer.endArray()
        }
        writer.endArray()
        return writer.finish()
    }

    private static func write(_ fate: Register<Money>?, to writer: inout JSONWriter) {
        guard let fate else { return writer.null() }
        writer.beginArray()
        writer.elements(of: fate.stamp)
        writer.string(fate.fact.amount)
        writer.string(fate.fact.currency.code)
        writer.endArray()
    }

    static func payments(json: Span<UInt8>) throws(StoredFactsError) -> AggregateMap<PaymentFacts> {
        do {
            var payments: [PaymentFacts] = []
            var reader = try JSONReader(json)
            try reader.enterArray()
            while try reader.nextElement() { payments.append(try readPayment(&reader)) }
            try reader.finish()
            return AggregateMap(payments)
        } catch {
            throw StoredFactsError()
        }
    }

    private static func readPayment(_ reader: inout JSONReader) throws -> PaymentFacts {
        try reader.enterArray()
        let id = try reader.nextString()
        let completed = try readFate(&reader)
        let failed = try readFate(&reader)
        guard try reader.nextElement() else { throw StoredFactsError() }
        var refunds: [Register<Money>] = []
        if try !reader.readNull() {
            try reader.enterArray()
            while try reader.nextElement() { refunds.append(try readRegister(&reader)) }
        }
        try reader.endArray()
        return PaymentFacts(id: id, completed: completed, failed: failed, refunds: refunds)
    }

    private static func readFate(_ reader: inout JSONReader) throws -> Register<Money>? {
        guard try reader.nextElement() else { throw StoredFactsError() }
        return try reader.readNull() ? nil : try readRegister(&reader)
    }

    private static func readRegister(_ reader: inout JSONReader) throws -> Register<Money> {
        try reader.enterArray()
        let stamp = try reader.nextStamp()
        let amount = try reader.nextAmount()
        guard let currency = Currency(utf8: try reader.nextBytes()) else { throw StoredFactsError() }
        try reader.endArray()
        return Register(stamp, Money(amount, currency))
    }
}

/// The column `shipments`: `[[shipmentId, created, delivered], …]`. `created` and `delivered` are null or
/// `[sequence, µs since 1970, eventId]`.
extension ShipmentFacts<ShippedFact> {
    static func json(_ shipments: AggregateMap<ShipmentFacts>) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginArray()
        for shipment in shipments.all {
            writer.beginArray()
            writer.string(shipment.id)
            for stamp in [shipment.created?.stamp, shipment.delivered] {
                guard let stamp else {
                    writer.null()
                    continue
                }
                writer.beginArray()
                writer.elements(of: stamp)
                writer.endArray()
            }
            writer.endArray()
        }
        writer.endArray()
        return writer.finish()
    }

    static func shipments(json: Span<UInt8>) throws(StoredFactsError) -> AggregateMap<ShipmentFacts> {
        do {
            var shipments: [ShipmentFacts] = []
            var reader = try JSONReader(json)
            try reader.enterArray()
            while try reader.nextElement() {
                try reader.enterArray()
                let id = try reader.nextString()
                let created = try readFate(&reader)
                let delivered = try readFate(&reader)
                try reader.endArray()
                shipments.append(
                    ShipmentFacts(
                        id: id, created: created.map { Register($0, ShippedFact()) }, delivered: delivered))
            }
            try reader.finish()
            return AggregateMap(shipments)
        } catch {
            throw StoredFactsError()
        }
    }

    private static func readFate(_ reader: inout JSONReader) throws -> EventStamp? {
        guard try reader.nextElement() else { throw StoredFactsError() }
        if try reader.readNull() { return nil }
        try reader.enterArray()
        let stamp = try reader.nextStamp()
        try reader.endArray()
        return stamp
    }
}

extension JSONWriter {
    /// Writes the sequence, the microseconds since 1970 and the event id.
    fileprivate mutating func elements(of stamp: EventStamp) {
        number(stamp.sequence)
        number(stamp.moment.at.microseconds)
        string(stamp.moment.eventID)
    }

    /// Writes a decimal as a string, so that readers with binary floating-point numbers keep its digits.
    fileprivate mutating func string(_ amount: DecimalAmount) {
        var digits: [UInt8] = []
        amount.appendText(to: &digits)
        string(digits.span)
    }
}

extension JSONReader {
    fileprivate mutating func nextString() throws -> String {
        guard try nextElement() else { throw StoredFactsError() }
        return try readString()
    }

    fileprivate mutating func nextInt64() throws -> Int64 {
        guard try nextElement() else { throw StoredFactsError() }
        return try readInt64()
    }

    fileprivate mutating func nextStamp() throws -> EventStamp {
        EventStamp(sequence: try nextInt64(), moment: try nextMoment())
    }

    fileprivate mutating func nextMoment() throws -> EventMoment {
        let at = Timestamp(microseconds: try nextInt64())
        guard let eventID = EventID(utf8: try nextBytes()) else { throw StoredFactsError() }
        return EventMoment(at: at, eventID: eventID)
    }

    /// The text of the next element, for texts that never contain escapes.
    @_lifetime(copy self)
    fileprivate mutating func nextBytes() throws -> Span<UInt8> {
        guard try nextElement() else { throw StoredFactsError() }
        return span(of: try readText().range)
    }

    fileprivate mutating func nextAmount() throws -> DecimalAmount {
        try DecimalAmount(utf8: nextBytes())
    }

    fileprivate mutating func endArray() throws {
        if try nextElement() { throw StoredFactsError() }
    }
}
