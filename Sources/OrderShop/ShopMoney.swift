internal import Postgres

/// A currency that the shop sells in.
public enum ShopCurrency: String, Sendable, CaseIterable {
    case euro = "EUR"
    case dollar = "USD"
    case pound = "GBP"
    case franc = "CHF"
    case yen = "JPY"

    /// Digits after the decimal point (ISO 4217).
    var fractionDigits: Int { self == .yen ? 0 : 2 }

    /// Minor units for a price of one euro cent: prices look plausible everywhere, they are not exchanged.
    var minorPerEuroCent: Double {
        switch self {
        case .euro: 1
        case .dollar: 1.1
        case .pound: 0.85
        case .franc: 0.95
        case .yen: 1.6
        }
    }
}

/// An exact amount in a currency's minor units (cents; whole yen).
public struct ShopAmount: Hashable, Sendable {
    public let minorUnits: Int64
    public let currency: ShopCurrency

    /// The decimal digits, such as `12.50` or `1250`.
    public var decimal: String {
        guard currency.fractionDigits == 2 else { return String(minorUnits) }
        let cents = minorUnits % 100
        return "\(minorUnits / 100).\(cents < 10 ? "0" : "")\(cents)"
    }
}

extension ArrayColumn where Element == NumericElement {
    mutating func append(_ amount: ShopAmount) {
        append(coefficient: Int128(amount.minorUnits), scale: amount.currency.fractionDigits)
    }
}
