internal import Events
internal import WireJSON

/// The steps that convert older versions of the events to the current ones.
enum OrderEventUpcasters {
    static let orderCreated: [any UpcastStep.Type] = [OrderCreatedTo2.self]
}

/// In version 1 the price of a line was named `price`, and all prices were in euros.
private enum OrderCreatedTo2: UpcastStep {
    static func apply(to payload: inout JSONValue) throws(EventDecodeError) {
        guard case .array(var items)? = payload["items"] else {
            throw EventDecodeError(.missingField, path: "$.payload.items", detail: "expected an array")
        }
        for index in items.indices where !items[index].rename("price", to: "unitPrice") {
            throw EventDecodeError(
                .missingField, path: "$.payload.items[\(index)].price", detail: "the field is absent")
        }
        payload["items"] = .array(items)
        payload["currency"] = .string("EUR")
    }
}
