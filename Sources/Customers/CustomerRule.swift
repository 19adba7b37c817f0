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
        case .customerExists: "There is a customer with this id."
        case .customerForgotten: "A forgotten customer cannot be changed."
        case .invalidEmail: "An e-mail address has a name, an @ and a host, and no spaces."
        }
    }
}
