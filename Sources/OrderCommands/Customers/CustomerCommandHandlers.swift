public import Commands
public import Customers
internal import Events

/// Registers a customer with a new id.
public struct RegisterCustomer: Command, Hashable {
    public static let name = "RegisterCustomer"
    public let customerID: String
    public let details: CustomerDetails

    public init(customerID: String, details: CustomerDetails) {
        self.customerID = customerID
        self.details = details
    }
}

/// Replaces all details of a customer.
public struct ChangeCustomer: Command, Hashable {
    public static let name = "ChangeCustomer"
    public let customerID: String
    public let details: CustomerDetails

    public init(customerID: String, details: CustomerDetails) {
        self.customerID = customerID
        self.details = details
    }
}

/// Removes the personal data of a customer. Existing orders stay, and the customer cannot order again.
public struct ForgetCustomer: Command, Hashable {
    public static let name = "ForgetCustomer"
    public let customerID: String

    public init(customerID: String) {
        self.customerID = customerID
    }
}

/// The commands of customers, for a command bus. Orders refer to their table.
public enum CustomerCommands {
    public static let all: [any Command.Type] = [RegisterCustomer.self, ChangeCustomer.self, ForgetCustomer.self]

    static let resource = AggregateResource<CustomerDecider>(
        "/v1/customers", idPrefix: "cus", document: CustomerDocument.json)

    public static let handlers: [CommandHandler] = [
        handler(RegisterCustomer.self, { $0.customerID }, { .register($0.details) }),
        handler(ChangeCustomer.self, { $0.customerID }, { .change($0.details) }),
        handler(ForgetCustomer.self, { $0.customerID }, { _ in .forget }),
    ]

    /// The handler of a command. It updates the fact for orders of the same transaction.
    private static func handler<C: Command>(
        _: C.Type, _ id: @escaping @Sendable (C) -> String, _ told: @escaping @Sendable (C) -> CustomerCommand
    ) -> CommandHandler {
        resource.handler(
            C.self, id, told,
            reads: { command, plan in plan.fact(KnownCustomer.self, id(command)) },
            facts: { _, scope in CustomerDecisionFacts(tenantID: scope.tenantID) },
            then: { command, scope in
                let state = scope.aggregate(CustomerDecider.self, id(command))?.state
                scope.changeFact(KnownCustomer.self, id(command)) { known in
                    known = state.flatMap { $0.isForgotten ? nil : KnownCustomer.Owner(tenantID: $0.tenantID) }
                }
            })
    }
}
