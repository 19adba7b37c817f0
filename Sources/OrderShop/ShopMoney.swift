internal import Events
internal import Orders
internal import Postgres

/// A currency of the shop's prices. The shop calculates in minor units (cents, whole yen).
enum ShopCurrency: String, Sendable, CaseIterable {
    case euro = "EUR"
    case dollar = "USD"
    case pound = "GBP"
    case franc = "CHF"
    case yen = "JPY"

    /// Digits after the decimal point (ISO 4217).
    var fractionDigits: Int { self == .yen ? 0 : 2 }

    /// Minor units for a price of one euro cent. The factors give plausible prices and are not exchange rates.
    var minorPerEuroCent: Double {
        switch self {
        case .euro: 1
        case .dollar: 1.1
        case .pound: 0.85
        case .franc: 0.95
        case .yen: 1.6
        }
    }

    /// The currency as a value of events.
    var currency: Currency {
        guard let currency = Currency(rawValue) else {
            preconditionFailure("\(rawValue) is not three upper-case letters")
        }
        return currency
    }

    func amount(minorUnits: Int64) -> DecimalAmount {
        DecimalAmount(coefficient: Int128(minorUnits), scale: fractionDigits)
    }

    func money(minorUnits: Int64) -> Money { Money(amount(minorUnits: minorUnits), currency) }
}

extension OrderLine {
    /// The price of the line in minor units of the order's currency. The shop's unit prices have exactly the currency's
    /// number of fraction digits.
    var minorUnits: Int64 { Int64(unitPrice.coefficient) * Int64(quantity) }
}

extension ArrayColumn where Element == NumericElement {
    mutating func append(_ amount: DecimalAmount) {
        append(coefficient: amount.coefficient, scale: amount.scale)
    }
}
