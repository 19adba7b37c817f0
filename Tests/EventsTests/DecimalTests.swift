import Events
import StreamCore
import Testing

struct DecimalTests {
    @Test(
        arguments: [
            ("0", 0, 0), ("-0", 0, 0), ("0.00", 0, 2), ("12.50", 1250, 2), ("-12.5", -125, 1), ("1e3", 1000, 0),
            ("1.25E+1", 125, 1), ("125e-2", 125, 2), ("007", 7, 0), ("0e999999999999", 0, 0), ("0e-999", 0, 0),
            ("123456789012345678", 123_456_789_012_345_678, 0), ("1234567890123456789", 1_234_567_890_123_456_789, 0),
            ("0.123456789012345678901", 123_456_789_012_345_678_901, 21), ("1000e-40", 10, 38),
            ("99999999999999999999999999999999999999", 99_999_999_999_999_999_999_999_999_999_999_999_999, 0),
        ] as [(String, Int128, Int)])
    func parses(_ text: String, _ coefficient: Int128, _ scale: Int) throws {
        let decimal = try DecimalAmount(text)
        #expect(decimal.coefficient == coefficient)
        #expect(decimal.scale == scale)
    }

    @Test(arguments: ["", "-", ".5", "5.", "1e", "1e+", "+1", " 1", "1 ", "1,5", "0x1", "NaN", "1.2.3", "--1", "١"])
    func refusesOtherTexts(_ text: String) {
        #expect(throws: DecimalParseError.notADecimal) { try DecimalAmount(text) }
    }

    @Test(arguments: [
        "1e39", "1e999999999999999999999", "1e-39", "1e-999999999", "999999999999999999999999999999999999999",
        "0.123456789012345678901234567890123456789",
    ])
    func refusesWhatIsOutOfRange(_ text: String) {
        #expect(throws: DecimalParseError.outOfRange) { try DecimalAmount(text) }
    }

    @Test(
        arguments: [
            (0, 0, "0"), (0, 2, "0.00"), (5, 2, "0.05"), (-5, 2, "-0.05"), (1250, 2, "12.50"), (-100, 0, "-100"),
            (Int128.max, 0, "170141183460469231731687303715884105727"),
            (Int128.min, 38, "-1.70141183460469231731687303715884105728"),
            (1, 38, "0." + String(repeating: "0", count: 37) + "1"),
        ] as [(Int128, Int, String)])
    func formats(_ coefficient: Int128, _ scale: Int, _ text: String) {
        #expect(DecimalAmount(coefficient: coefficient, scale: scale).description == text)
    }

    @Test func isEqualByValue() throws {
        let values = try ["1.5", "1.50", "15e-1", "1.500000"].map { try DecimalAmount($0) }
        #expect(Set(values).count == 1)
        #expect(try DecimalAmount("1.5") != DecimalAmount("15"))
        #expect(try DecimalAmount("1.5") != DecimalAmount("-1.5"))
        #expect(try DecimalAmount("0") == DecimalAmount("0.000"))
    }

    @Test func comparesAcrossScales() throws {
        let ascending = try ["-1e38", "-2", "-1.99", "-1e-38", "0.0", "1e-38", "0.1", "1", "1.01", "2", "1e38"].map {
            try DecimalAmount($0)
        }
        for (left, right) in zip(ascending, ascending.dropFirst()) {
            #expect(left < right)
            #expect(!(right < left))
        }
        #expect(ascending.shuffled().sorted() == ascending)
    }

    @Test func calculates() throws {
        let price = try DecimalAmount("19.99")
        #expect(try price.multiplied(by: 3).description == "59.97")
        #expect(try price.adding(DecimalAmount("0.005")).description == "19.995")
        #expect(try price.subtracting(DecimalAmount("20")).description == "-0.01")
        #expect(try DecimalAmount("0.1").adding(DecimalAmount("0.2")) == DecimalAmount("0.3"))
    }

    @Test func throwsInsteadOfOverflowing() {
        let huge = DecimalAmount(coefficient: .max, scale: 0)
        #expect(throws: DecimalOverflow.self) { try huge.adding(DecimalAmount(coefficient: 1, scale: 0)) }
        #expect(throws: DecimalOverflow.self) { try huge.adding(DecimalAmount(coefficient: 1, scale: 1)) }
        #expect(throws: DecimalOverflow.self) { try huge.multiplied(by: 2) }
        #expect(throws: DecimalOverflow.self) {
            try DecimalAmount(coefficient: .min, scale: 0).subtracting(DecimalAmount(coefficient: 1, scale: 0))
        }
    }

    @Test func countsIntegerDigits() throws {
        #expect(try ["0.9", "1", "-99.5", "100"].map { try DecimalAmount($0).integerDigits } == [0, 1, 2, 3])
    }

    /// Random decimals are converted to text and back.
    @Test func comesBackFromText() throws {
        var random = SplitMix64(seed: 7)
        for _ in 0..<2_000 {
            let bits = Int.random(in: 1...126, using: &random)
            let coefficient = Int128(truncatingIfNeeded: UInt128.random(in: 0..<(1 << UInt128(bits)), using: &random))
            let decimal = DecimalAmount(
                coefficient: Bool.random(using: &random) ? coefficient : -coefficient,
                scale: Int.random(in: 0...38, using: &random))
            let parsed = try DecimalAmount(decimal.description)
            #expect(parsed.coefficient == decimal.coefficient && parsed.scale == decimal.scale)
        }
    }
}

struct MoneyTests {
    let euro: Currency

    init() throws { euro = try #require(Currency("EUR")) }

    @Test(arguments: ["", "EU", "EURO", "eur", "E1R", "ÄÖ", "€"])
    func refusesOtherCurrencies(_ code: String) {
        #expect(Currency(code) == nil)
    }

    @Test func calculatesInOneCurrency() throws {
        let price = Money(try DecimalAmount("2.50"), euro)
        #expect(try price.multiplied(by: 4) == Money(DecimalAmount("10"), euro))
        #expect(try price.adding(price).description == "5.00 EUR")
        #expect(try price.subtracting(price) == Money(.zero, euro))
    }

    @Test func neverMixesCurrencies() throws {
        let dollar = try #require(Currency("USD"))
        let error = MoneyError.differentCurrencies(euro, dollar)
        #expect(throws: error) { try Money(.zero, euro).adding(Money(.zero, dollar)) }
        #expect(throws: error) { try Money(.zero, euro).subtracting(Money(.zero, dollar)) }
        #expect(throws: MoneyError.overflow) {
            try Money(DecimalAmount(coefficient: .max, scale: 0), euro).multiplied(by: 2)
        }
    }
}
