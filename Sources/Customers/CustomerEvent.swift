public import Events
public import WireJSON

/// One event of a customer.
public typealias CustomerEvent = Event<CustomerEventPayload>

/// The domain's only kind of aggregate.
public enum CustomerKind: String, AggregateKind {
    case customer = "Customer"
}

public enum CustomerEventType: String, EventType {
    case customerRegistered = "CustomerRegistered"
    case customerChanged = "CustomerChanged"
    case customerForgotten = "CustomerForgotten"

    public var aggregateType: CustomerKind { .customer }
}

/// The details of a customer.
public struct CustomerDetails: Hashable, Sendable {
    public let name: String
    public let email: String
    public let country: String

    public init(name: String, email: String, country: String) {
        self.name = name
        self.email = email
        self.country = country
    }

    /// The details of a forgotten customer.
    public static let forgotten = CustomerDetails(name: "", email: "", country: "")

    /// Writes the members of an object.
    public func writeMembers(to writer: inout JSONWriter) {
        writer.member("name", name)
        writer.member("email", email)
        writer.member("country", country)
    }
}

/// An event of a customer.
public enum CustomerEventPayload: Hashable, Sendable {
    case customerRegistered(CustomerDetails)
    /// All details, including those that did not change.
    case customerChanged(CustomerDetails)
    /// Readers delete everything that identifies the person.
    case customerForgotten

    public var type: CustomerEventType {
        switch self {
        case .customerRegistered: .customerRegistered
        case .customerChanged: .customerChanged
        case .customerForgotten: .customerForgotten
        }
    }
}

extension CustomerEventPayload: EventPayload {
    public static func decode(
        _ type: CustomerEventType, _ fields: inout FieldReader
    ) throws(DecodeProblem) -> CustomerEventPayload {
        var (name, email, country): (String?, String?, String?) = (nil, nil, nil)
        let start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if fields.matches(key, "name") {
                try fields.once(name == nil, key)
                name = try fields.text()
            } else if fields.matches(key, "email") {
                try fields.once(email == nil, key)
                email = try fields.text()
            } else if fields.matches(key, "country") {
                try fields.once(country == nil, key)
                country = try fields.text()
            } else {
                try fields.skip()
            }
        }
        if type == .customerForgotten { return .customerForgotten }
        let details = CustomerDetails(
            name: try FieldReader.required(name, "name", in: start),
            email: try FieldReader.required(email, "email", in: start),
            country: try FieldReader.required(country, "country", in: start))
        return type == .customerRegistered ? .customerRegistered(details) : .customerChanged(details)
    }

    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        switch self {
        case .customerRegistered(let details), .customerChanged(let details): details.writeMembers(to: &writer)
        case .customerForgotten: break
        }
        writer.endObject()
    }
}
