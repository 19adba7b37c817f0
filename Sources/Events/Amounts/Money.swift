/// A currency, identified by three letters as in ISO 4217 (`EUR`). Any three letters are allowed, because the list of
/// currencies changes and old events keep theirs.
public struct Currency: Hashable, Sendable {
    private let first: UInt8
    private let second: UInt8
    private let third: UInt8

    /// - Returns: nil unless the bytes are three upper-case ASCII letters.
    public init?(utf8: Span<UInt8>) {
        guard utf8.count == 3 else { return nil }
        for index in 0..<3 where !(UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(utf8[index]) { return nil }
        (first, second, third) = (utf8[0], utf8[1], utf8[2])
    }

    /// - Returns: nil unless `code` consists of three upper-case ASCII letters.
    public init?(_ code: String) {
        self.init(utf8: code.utf8Span.span)
    }

    /// The three letters.
    public var code: String {
        // SAFETY: the closure writes all three bytes, and they are ASCII.
        unsafe String(unsafeUninitializedCapacity: 3) { buffer in
            (unsafe buffer[0], unsafe buffer[1], unsafe buffer[2]) = (first, second, third)
            return 3
        }
    }
}

/// Currencies are ordered by their codes.
extension Currency: Comparable {
    public static func < (left: Currency, right: Currency) -> Bool {
        (left.first, left.second, left.third) < (right.first, right.second, right.third)
    }
}

extension Currency: CustomStringConvertible {
    public var description: String { code }
}

/// An amount in a currency. Amounts in different currencies cannot be added.
public struct Money: Hashable, Sendable {
    public let amount: DecimalAmount
    public let currency: Currency

    public init(_ amount: DecimalAmount, _ currency: Currency) {
        self.amount = amount
        self.currency = currency
    }

    public func adding(_ other: Money) throws(MoneyError) -> Money {
        try combined(with: other) { (left, right) throws(DecimalOverflow) in try left.adding(right) }
    }

    public func subtracting(_ other: Money) throws(MoneyError) -> Money {
        try combined(with: other) { (left, right) throws(DecimalOverflow) in try left.subtracting(right) }
    }

    public func multiplied(by factor: Int64) throws(MoneyError) -> Money {
        do {
            return Money(try amount.multiplied(by: factor), currency)
        } catch {
            throw .overflow
        }
    }

    private func combined(
        with other: Money, _ operation: (DecimalAmount, DecimalAmount) throws(DecimalOverflow) -> DecimalAmount
    ) throws(MoneyError) -> Money {
        guard currency == other.currency else { throw .differentCurrencies(currency, other.currency) }
        do {
            return Money(try operation(amount, other.amount), currency)
        } catch {
            throw .overflow
        }
    }
}

extension Money: CustomStringConvertible {
    public var description: String { "\(amount) \(currency)" }
}

/// Why two amounts of money cannot be combined.
public enum MoneyError: Error, Hashable, Sendable {
    case differentCurrencies(Currency, Currency)
    case overflow
}
