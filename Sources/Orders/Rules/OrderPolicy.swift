public import Events

/// The rules of orders that the operator can configure.
public struct OrderPolicy: Hashable, Sendable {
    /// The accepted currencies.
    public var currencies: CurrencyTable
    /// The minimum total for confirming an order, by currency.
    public var minimumTotals: [Currency: DecimalAmount]
    /// The minimum total in all other currencies.
    public var minimumTotal: DecimalAmount

    /// Whether the product of a new line must be in the catalogue and not retired.
    public var requiresKnownProducts: Bool

    /// The maximum number of lines of an order. It is limited because an order is loaded as a whole.
    public static let maximumItems = 500

    public init(
        currencies: CurrencyTable = .standard, minimumTotal: DecimalAmount = DecimalAmount(coefficient: 10, scale: 0),
        minimumTotals: [Currency: DecimalAmount] = [:], requiresKnownProducts: Bool = false
    ) {
        self.currencies = currencies
        self.minimumTotal = minimumTotal
        self.minimumTotals = minimumTotals
        self.requiresKnownProducts = requiresKnownProducts
    }

    func minimumTotal(in currency: Currency) -> DecimalAmount { minimumTotals[currency] ?? minimumTotal }
}
