/// An exact decimal number, `coefficient × 10^−scale`, for money and prices. It carries the digits from JSON to
/// PostgreSQL's `numeric` without a binary floating-point number in between.
///
/// `1.50` and `1.5` are equal, but each keeps its scale, so the text of a number does not change.
public struct DecimalAmount: Sendable {
    /// All digits as an integer.
    public let coefficient: Int128
    /// The number of decimal places, 0–38.
    public let scale: Int

    /// The maximum number of decimal places.
    public static let maximumScale = 38

    public static let zero = DecimalAmount(coefficient: 0, scale: 0)

    /// - Parameter scale: 0 to ``maximumScale``.
    public init(coefficient: Int128, scale: Int) {
        precondition((0...Self.maximumScale).contains(scale), "a decimal's scale is 0–38")
        self.coefficient = coefficient
        self.scale = scale
    }

    /// The same value without trailing zeros after the decimal point.
    public var normalized: DecimalAmount {
        var coefficient = coefficient
        var scale = scale
        while scale > 0, case let (quotient, remainder) = coefficient.quotientAndRemainder(dividingBy: 10),
            remainder == 0
        {
            coefficient = quotient
            scale -= 1
        }
        return DecimalAmount(coefficient: coefficient, scale: scale)
    }

    /// The number of digits before the decimal point; 0 for a value below one.
    public var integerDigits: Int {
        var rest = coefficient.magnitude / Self.powerOfTen(scale)
        var digits = 0
        while rest > 0 {
            rest /= 10
            digits += 1
        }
        return digits
    }

    static func powerOfTen(_ exponent: Int) -> UInt128 {
        var power: UInt128 = 1
        for _ in 0..<exponent { power *= 10 }
        return power
    }
}

/// The result of a calculation does not fit into a ``DecimalAmount``.
public struct DecimalOverflow: Error, Hashable, CustomStringConvertible {
    public init() {}

    public var description: String { "the decimal has more than 38 digits" }
}

// MARK: - arithmetic

extension DecimalAmount {
    public func adding(_ other: DecimalAmount) throws(DecimalOverflow) -> DecimalAmount {
        let scale = max(scale, other.scale)
        let (sum, overflow) = try coefficient(atScale: scale).addingReportingOverflow(other.coefficient(atScale: scale))
        if overflow { throw DecimalOverflow() }
        return DecimalAmount(coefficient: sum, scale: scale)
    }

    public func subtracting(_ other: DecimalAmount) throws(DecimalOverflow) -> DecimalAmount {
        let scale = max(scale, other.scale)
        let (difference, overflow) = try coefficient(atScale: scale)
            .subtractingReportingOverflow(other.coefficient(atScale: scale))
        if overflow { throw DecimalOverflow() }
        return DecimalAmount(coefficient: difference, scale: scale)
    }

    public func multiplied(by factor: Int64) throws(DecimalOverflow) -> DecimalAmount {
        let (product, overflow) = coefficient.multipliedReportingOverflow(by: Int128(factor))
        if overflow { throw DecimalOverflow() }
        return DecimalAmount(coefficient: product, scale: scale)
    }

    private func coefficient(atScale target: Int) throws(DecimalOverflow) -> Int128 {
        var result = coefficient
        for _ in scale..<target {
            let (product, overflow) = result.multipliedReportingOverflow(by: 10)
            if overflow { throw DecimalOverflow() }
            result = product
        }
        return result
    }
}

extension DecimalAmount: Comparable {
    public static func == (left: DecimalAmount, right: DecimalAmount) -> Bool {
        if left.scale == right.scale { return left.coefficient == right.coefficient }
        let (left, right) = (left.normalized, right.normalized)
        return left.coefficient == right.coefficient && left.scale == right.scale
    }

    public static func < (left: DecimalAmount, right: DecimalAmount) -> Bool {
        let scale = max(left.scale, right.scale)
        // A number that does not fit at the common scale is farther from zero than any number that does.
        guard let leftCoefficient = try? left.coefficient(atScale: scale) else { return left.coefficient < 0 }
        guard let rightCoefficient = try? right.coefficient(atScale: scale) else { return right.coefficient > 0 }
        return leftCoefficient < rightCoefficient
    }
}

extension DecimalAmount: Hashable {
    public func hash(into hasher: inout Hasher) {
        let normalized = normalized
        hasher.combine(normalized.coefficient)
        hasher.combine(normalized.scale)
    }
}
