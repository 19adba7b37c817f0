internal import Orders
internal import StreamCore
internal import WireJSON

/// The columns `lines` and `payments` of a stored row hold what this program has not written.
struct StoredFactsError: Error, CustomStringConvertible {
    var description: String { "the lines or payments of a stored order are not in their form" }
}

/// The column `lines`: `[[productId, sequence, quantity, "unitPrice", name], …]`, and `[productId, sequence]` for a
/// line that was removed.
extension OrderLines {
    func json() -> [UInt8] {
        var writer = JSONWriter()
        writer.beginArray()
        for entry in entries {
            writer.beginArray()
            writer.string(entry.productID)
            writer.number(entry.sequence)
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
        let sequence = try reader.nextInt64()
        guard try reader.nextElement() else { return Entry(productID: productID, sequence: sequence, line: nil) }
        guard let quantity = Int32(exactly: try reader.readInt64()) else { throw StoredFactsError() }
        let unitPrice = try reader.nextAmount()
        let name = try reader.nextString()
        try reader.endArray()
        let line = OrderLine(productID: productID, name: name, quantity: quantity, unitPrice: unitPrice)
        return Entry(productID: productID, sequence: sequence, line: line)
    }
}

/// The column `payments`: `[[paymentId, completed, failed, refunded], …]`, of which each fate is
/// `[µs since 1970, eventId, "amount", currency]` or null.
extension PaymentFacts {
    static func json(_ payments: [PaymentFacts]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginArray()
        for payment in payments {
            writer.beginArray()
            writer.string(payment.paymentID)
            write(payment.completed, to: &writer)
            write(payment.failed, to: &writer)
            write(payment.refunded, to: &writer)
            writer.endArray()
        }
        writer.endArray()
        return writer.finish()
    }

    private static func write(_ fate: Register<Money>?, to writer: inout JSONWriter) {
        guard let fate else { return writer.null() }
        writer.beginArray()
        writer.number(fate.at.microseconds)
        writer.string(fate.eventID)
        writer.string(fate.fact.amount)
        writer.string(fate.fact.currency.code)
        writer.endArray()
    }

    static func payments(json: Span<UInt8>) throws(StoredFactsError) -> [PaymentFacts] {
        do {
            var payments: [PaymentFacts] = []
            var reader = try JSONReader(json)
            try reader.enterArray()
            while try reader.nextElement() {
                try reader.enterArray()
                let id = try reader.nextString()
                let completed = try readFate(&reader)
                let failed = try readFate(&reader)
                let refunded = try readFate(&reader)
                try reader.endArray()
                payments.append(
                    PaymentFacts(paymentID: id, completed: completed, failed: failed, refunded: refunded))
            }
            try reader.finish()
            return payments
        } catch {
            throw StoredFactsError()
        }
    }

    private static func readFate(_ reader: inout JSONReader) throws -> Register<Money>? {
        guard try reader.nextElement() else { throw StoredFactsError() }
        if try reader.readNull() { return nil }
        try reader.enterArray()
        let at = Timestamp(microseconds: try reader.nextInt64())
        guard let eventID = EventID(utf8: try reader.nextBytes()) else { throw StoredFactsError() }
        let amount = try reader.nextAmount()
        guard let currency = Currency(utf8: try reader.nextBytes()) else { throw StoredFactsError() }
        try reader.endArray()
        return Register(at: at, eventID: eventID, fact: Money(amount, currency))
    }
}

extension JSONWriter {
    /// A decimal by its digits, as a string, so that readers with binary floats keep them too.
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

    /// The text of an element that never has escapes.
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
