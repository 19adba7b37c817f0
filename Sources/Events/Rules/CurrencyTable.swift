/// The currencies that rules take, and how many digits their amounts have behind the point.
public struct CurrencyTable: Hashable, Sendable {
    private let digits: [Currency: Int]

    /// - Parameter digits: 0 to 8 for each currency.
    public init(_ digits: [Currency: Int]) {
        self.digits = digits
    }

    /// Currencies in wide use, with the minor units of ISO 4217.
    public static let standard: CurrencyTable = {
        let two = [
            "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HUF", "INR", "NOK", "PLN", "SEK", "USD",
        ]
        let codes = two.map { ($0, 2) } + [("ISK", 0), ("JPY", 0), ("KRW", 0), ("BHD", 3), ("KWD", 3), ("TND", 3)]
        return CurrencyTable(
            Dictionary(uniqueKeysWithValues: codes.compactMap { code, digits in Currency(code).map { ($0, digits) } }))
    }()

    /// Digits behind the point; nil for a currency that is not taken.
    public func digits(of currency: Currency) -> Int? { digits[currency] }

    public var currencies: [Currency] { digits.keys.sorted() }

    /// Whether the currency's coins can pay the amount.
    public func fits(_ amount: DecimalAmount, _ currency: Currency) -> Bool {
        digits[currency].map { amount.normalized.scale <= $0 } ?? false
    }
}
