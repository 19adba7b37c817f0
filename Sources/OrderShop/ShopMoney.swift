internal import Events
internal import Orders
internal import Postgres

/// A currency that the shop sells in. The shop counts in its minor units (cents; whole yen).
enum ShopCurrency: String, Sendable, CaseIterable {
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

    /// As events write it.
    var currency: Currency {
        guard let currency = Currency(rawValue) else { preconditionFailure("\(rawValue) is three upper-case letters") }
        return currency
    }

    func amount(minorUnits: Int64) -> DecimalAmount {
        DecimalAmount(coefficient: Int128(minorUnits), scale: fractionDigits)
    }

    func money(minorUnits: Int64) -> Money { Money(amount(minorUnits: minorUnits), currency) }
}

extension OrderLine {
    /// What the line costs, in minor units of its order's currency: the shop's prices have as many digits behind the
    /// point as the currency has.
    var minorUnits: Int64 { Int64(unitPrice.coefficient) * Int64(quantity) }
}

extension ArrayColumn where Element == NumericElement {
    mutating func append(_ amount: DecimalAmount) {
        append(coefficient: amount.coefficient, scale: amount.scale)
    }
}
