public import Events

/// The rules of customers.
public enum CustomerRule: String, Rule {
    case unknownCustomer = "no-such-customer"
    case customerExists = "customer-exists"
    case customerForgotten = "customer-forgotten"
    case invalidEmail = "invalid-email"

    public var kind: RuleKind {
        switch self {
        case .unknownCustomer: .notFound
        case .customerExists, .customerForgotten: .conflict
        case .invalidEmail: .invalid
        }
    }

    public var summary: String {
        switch self {
        case .unknownCustomer: "There is no such customer."
        case .customerExists: "A customer with this id already exists."
        case .customerForgotten: "A forgotten customer cannot be changed."
        case .invalidEmail: "An e-mail address must consist of a name, an @ and a host, without spaces."
        }
    }
}
