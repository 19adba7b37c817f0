public import Events

/// What the rules of orders leave to the operator.
public struct OrderPolicy: Hashable, Sendable {
    /// The currencies that are taken.
    public var currencies: CurrencyTable
    /// The least total with which an order is confirmed, by currency.
    public var minimumTotals: [Currency: DecimalAmount]
    /// The least total in all other currencies.
    public var minimumTotal: DecimalAmount

    /// An order's size has a limit, since it is loaded as a whole.
    public static let maximumItems = 500

    public init(
        currencies: CurrencyTable = .standard, minimumTotal: DecimalAmount = DecimalAmount(coefficient: 10, scale: 0),
        minimumTotals: [Currency: DecimalAmount] = [:]
    ) {
        self.currencies = currencies
        self.minimumTotal = minimumTotal
        self.minimumTotals = minimumTotals
    }

    func minimumTotal(in currency: Currency) -> DecimalAmount { minimumTotals[currency] ?? minimumTotal }
}
