public import Events

/// The rules of payments.
public enum PaymentRule: String, Rule {
    case unknownPayment = "unknown-payment"
    case paymentExists = "payment-exists"
    case paymentWithoutOrder = "payment-without-order"
    case orderNotConfirmed = "order-not-confirmed"
    case invalidAmount = "invalid-amount"
    case unknownCurrency = "unknown-currency"
    case currencyMismatch = "currency-mismatch"
    case paymentFailed = "payment-failed"
    case paymentCompleted = "payment-completed"
    case paymentNotCompleted = "payment-not-completed"
    case captureTooLarge = "capture-too-large"
    case refundTooLarge = "refund-too-large"

    public var kind: RuleKind {
        switch self {
        case .unknownPayment: .notFound
        case .paymentExists, .orderNotConfirmed, .paymentFailed, .paymentCompleted, .paymentNotCompleted,
            .captureTooLarge, .refundTooLarge:
            .conflict
        case .paymentWithoutOrder, .invalidAmount, .unknownCurrency, .currencyMismatch: .invalid
        }
    }

    public var summary: String {
        switch self {
        case .unknownPayment: "There is no such payment."
        case .paymentExists: "A payment with this id already exists."
        case .paymentWithoutOrder: "The order of the payment does not exist."
        case .orderNotConfirmed: "Only a confirmed order can be paid."
        case .invalidAmount:
            "An amount must be greater than zero and must not have more decimal places than its currency."
        case .unknownCurrency: "The currency is not accepted."
        case .currencyMismatch: "All amounts of a payment must be in the order's currency."
        case .paymentFailed: "A failed payment cannot be changed."
        case .paymentCompleted: "A completed payment cannot be captured again and cannot fail."
        case .paymentNotCompleted: "Only a completed payment can be refunded."
        case .captureTooLarge: "At most the authorized amount can be captured."
        case .refundTooLarge: "At most the captured amount can be refunded."
        }
    }
}
