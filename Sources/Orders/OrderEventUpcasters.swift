internal import Events
internal import WireJSON

/// What turns the payload of one schema version of an event type into the next one's. Pure; sees the payload alone.
protocol UpcastStep {
    /// - Throws: what the payload lacks, as a path below `$.payload`.
    static func apply(to payload: inout JSONValue) throws(EventDecodeError)
}

/// The older versions of the events. Step n − 1 of a type leads from its version n to n + 1, up to
/// ``OrderEventType/currentVersion``.
enum OrderEventUpcasters {
    static func steps(of type: OrderEventType) -> [any UpcastStep.Type] {
        switch type {
        case .orderCreated: [OrderCreatedTo2.self]
        case .itemAdded, .itemRemoved, .orderConfirmed, .orderCancelled, .paymentCompleted, .paymentFailed,
            .paymentRefunded, .shipmentCreated, .shipmentDelivered:
            []
        }
    }

    /// Brings a payload of `version` to the current one and decodes it. Rewrites it as a tree, which is slow: old
    /// events are met in rebuilds only.
    static func upcast(
        _ payload: Span<UInt8>, of type: OrderEventType, from version: Int
    ) throws(EventDecodeError) -> OrderEventPayload {
        var tree: JSONValue
        do {
            var reader = try JSONReader(payload)
            tree = try JSONValue(from: &reader)
        } catch {
            throw DecodeProblem(error).located(in: payload, root: "$.payload")
        }
        for step in steps(of: type).dropFirst(version - 1) { try step.apply(to: &tree) }
        var writer = JSONWriter()
        tree.write(to: &writer)
        let current = writer.finish()
        do {
            var fields = try FieldReader(current.span)
            return try OrderPayloadDecoder.decode(type, &fields)
        } catch {
            throw error.located(in: current.span, root: "$.payload")
        }
    }
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
