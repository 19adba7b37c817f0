/// The currencies that the rules accept, with the number of decimal places of their amounts.
public struct CurrencyTable: Hashable, Sendable {
    private let digits: [Currency: Int]

    /// - Parameter digits: the number of decimal places for each currency, 0–8.
    public init(_ digits: [Currency: Int]) {
        self.digits = digits
    }

    /// Widely used currencies with their minor units according to ISO 4217.
    public static let standard: CurrencyTable = {
        let two = [
            "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HUF", "INR", "NOK", "PLN", "SEK", "USD",
        ]
        let codes = two.map { ($0, 2) } + [("ISK", 0), ("JPY", 0), ("KRW", 0), ("BHD", 3), ("KWD", 3), ("TND", 3)]
        return CurrencyTable(
            Dictionary(uniqueKeysWithValues: codes.compactMap { code, digits in Currency(code).map { ($0, digits) } }))
    }()

    /// The number of decimal places; nil if the currency is not accepted.
    public func digits(of currency: Currency) -> Int? { digits[currency] }

    public var currencies: [Currency] { digits.keys.sorted() }

    /// Whether the currency is accepted and has enough decimal places for the amount.
    public func fits(_ amount: DecimalAmount, _ currency: Currency) -> Bool {
        digits[currency].map { amount.normalized.scale <= $0 } ?? false
    }
}
