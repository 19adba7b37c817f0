internal import Events
internal import WireJSON

/// What leads from the older versions of the events to the current ones.
enum OrderEventUpcasters {
    static let orderCreated: [any UpcastStep.Type] = [OrderCreatedTo2.self]
}

/// Version 1 had a line's price as `price`, and all prices were in euro.
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
