public import Commands
public import Events
public import Orders

/// Authorizes a payment of an order, with a new id.
public struct AuthorizePayment: Command, Hashable {
    public static let name = "AuthorizePayment"
    public let paymentID: String
    public let payment: PaymentAuthorized

    public init(paymentID: String, payment: PaymentAuthorized) {
        self.paymentID = paymentID
        self.payment = payment
    }
}

/// Captures an authorized payment, which completes it.
public struct CapturePayment: Command, Hashable {
    public static let name = "CapturePayment"
    public let paymentID: String
    public let money: Money

    public init(paymentID: String, money: Money) {
        self.paymentID = paymentID
        self.money = money
    }
}

public struct FailPayment: Command, Hashable {
    public static let name = "FailPayment"
    public let paymentID: String
    public let reason: String

    public init(paymentID: String, reason: String) {
        self.paymentID = paymentID
        self.reason = reason
    }
}

/// Refunds a captured payment, or a part of it.
public struct RefundPayment: Command, Hashable {
    public static let name = "RefundPayment"
    public let paymentID: String
    public let money: Money
    public let reason: String

    public init(paymentID: String, money: Money, reason: String) {
        self.paymentID = paymentID
        self.money = money
        self.reason = reason
    }
}

/// The commands of payments, for a command bus. They read orders, which must be in the same database.
public enum PaymentCommands {
    public static let all: [any Command.Type] = [
        AuthorizePayment.self, CapturePayment.self, FailPayment.self, RefundPayment.self,
    ]

    static let resource = AggregateResource<PaymentDecider>(
        "/v1/payments", idPrefix: "pay", document: PaymentDocument.json)

    /// - Parameter currencies: the accepted currencies.
    public static func handlers(_ currencies: CurrencyTable) -> [CommandHandler] {
        [
            // Reads the order as an aggregate. Its lock prevents the order from being cancelled before this transaction
            // ends.
            resource.handler(
                AuthorizePayment.self, { $0.paymentID }, { .authorize($0.payment) }, with: [OrderDecider.self],
                reads: { command, plan in plan.aggregate(OrderDecider.self, command.payment.orderID) },
                facts: { command, scope in
                    PaymentDecisionFacts(
                        tenantID: scope.tenantID,
                        order: scope.aggregate(OrderDecider.self, command.payment.orderID)?.state,
                        currencies: currencies)
                }),
            handler(CapturePayment.self, currencies, { $0.paymentID }, { .capture($0.money) }),
            handler(FailPayment.self, currencies, { $0.paymentID }, { .fail(reason: $0.reason) }),
            handler(
                RefundPayment.self, currencies, { $0.paymentID }, { .refund($0.money, reason: $0.reason) }),
        ]
    }

    private static func handler<C: Command>(
        _: C.Type, _ currencies: CurrencyTable, _ id: @escaping @Sendable (C) -> String,
        _ told: @escaping @Sendable (C) -> PaymentCommand
    ) -> CommandHandler {
        resource.handler(C.self, id, told) { _, scope in
            PaymentDecisionFacts(tenantID: scope.tenantID, currencies: currencies)
        }
    }
}
