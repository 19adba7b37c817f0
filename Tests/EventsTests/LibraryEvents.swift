import Events
import StreamCore
import WireJSON

/// A domain other than orders: books of a library, which are lent and returned.
enum LibraryEvent: EventPayload {
    case lent(reader: String)
    /// The fee is charged for a late return.
    case returned(fee: Money?)

    enum Kind: String, EventType {
        case lent = "BookLent"
        case returned = "BookReturned"

        var aggregateType: Aggregate { .book }

        var upcasts: [any UpcastStep.Type] { self == .lent ? [NamedReader.self, Reader.self] : [] }
    }

    enum Aggregate: String, AggregateKind {
        case book = "Book"
        case shelf = "Shelf"
    }

    var type: Kind {
        switch self {
        case .lent: .lent
        case .returned: .returned
        }
    }

    static func decode(_ type: Kind, _ fields: inout FieldReader) throws(DecodeProblem) -> LibraryEvent {
        var reader: String?
        var amount: DecimalAmount?
        var currency: Currency?
        let start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if fields.matches(key, "reader") {
                try fields.once(reader == nil, key)
                reader = try fields.identity()
            } else if fields.matches(key, "amount") {
                amount = try fields.amount()
            } else if fields.matches(key, "currency") {
                currency = try fields.currency()
            } else {
                try fields.skip()
            }
        }
        switch type {
        case .lent: return .lent(reader: try FieldReader.required(reader, "reader", in: start))
        case .returned:
            guard let amount, let currency else { return .returned(fee: nil) }
            return .returned(fee: Money(amount, currency))
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        switch self {
        case .lent(let reader): writer.member("reader", reader)
        case .returned(let fee): if let fee { writer.members(of: fee) }
        }
        writer.endObject()
    }

    /// Version 1 used the name `who`.
    private enum NamedReader: UpcastStep {
        static func apply(to payload: inout JSONValue) throws(EventDecodeError) {
            guard payload.rename("who", to: "name") else {
                throw EventDecodeError(.missingField, path: "$.payload.who", detail: "the field is absent")
            }
        }
    }

    /// Version 2 used the name `name`.
    private enum Reader: UpcastStep {
        static func apply(to payload: inout JSONValue) throws(EventDecodeError) {
            guard payload.rename("name", to: "reader") else {
                throw EventDecodeError(.missingField, path: "$.payload.name", detail: "the field is absent")
            }
        }
    }
}
