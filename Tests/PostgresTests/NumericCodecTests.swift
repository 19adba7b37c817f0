import Testing

@testable import Postgres

@Suite struct NumericCodecTests {
    private func bytes(of buffer: WireBuffer) -> [UInt8] {
        // SAFETY: the bytes are copied before the closure returns.
        unsafe buffer.withUnsafeBytes { unsafe Array($0) }
    }

    private func wire(_ coefficient: Int128, _ scale: Int) -> [UInt8] {
        var buffer = WireBuffer()
        NumericCodec.append(coefficient, scale: scale, to: &buffer)
        return bytes(of: buffer)
    }

    private func wire(_ text: String) throws -> [UInt8] {
        var buffer = WireBuffer()
        try NumericCodec.append(text: text.utf8Span.span, to: &buffer)
        return bytes(of: buffer)
    }

    private func text(_ bytes: [UInt8]) -> String? { NumericCodec.text(bytes.span) }

    private func decimal(_ bytes: [UInt8]) -> (coefficient: Int128, scale: Int)? { NumericCodec.decimal(bytes.span) }

    @Test(
        arguments: [
            ("0", 0, 0), ("0.00", 0, 2), ("1", 1, 0), ("-1", -1, 0), ("12.34", 1_234, 2), ("0.0001", 1, 4),
            ("0.00001", 1, 5), ("-0.5", -5, 1), ("10000", 10_000, 0), ("99999999.99", 9_999_999_999, 2),
            ("1000000.000", 1_000_000_000, 3), ("0.000000000000000000000000000000000001", 1, 36), ("123000", 123, -3),
        ] as [(String, Int128, Int)])
    func coefficientAndScaleAreTheTextsDigits(_ text: String, _ coefficient: Int128, _ scale: Int) throws {
        let bytes = wire(coefficient, scale)
        #expect(self.text(bytes) == text)
        let decoded = try #require(decimal(bytes))
        #expect(decoded.scale == max(scale, 0))
        #expect(decoded.coefficient == (scale < 0 ? 123_000 : coefficient))
        #expect(try self.text(wire(text)) == text)
    }

    @Test func theWholeRangeOfTheCoefficientFits() throws {
        for coefficient: Int128 in [.max, .min + 1] {
            for scale in 0...40 {
                let bytes = wire(coefficient, scale)
                let decoded = try #require(decimal(bytes))
                #expect(decoded.coefficient == coefficient && decoded.scale == scale)
            }
        }
    }

    @Test(arguments: [
        ("+1.50", "1.50"), ("1e3", "1000"), ("1.5E-3", "0.0015"), ("0007.10", "7.10"), (".5", "0.5"), ("5.", "5"),
        ("-0", "0"), ("NaN", "NaN"), ("-Infinity", "-Infinity"), ("0e5", "0"), ("12345e-2", "123.45"),
    ])
    func readsTheFormsOfDecimalText(_ text: String, _ canonical: String) throws {
        #expect(try self.text(wire(text)) == canonical)
    }

    @Test(arguments: ["", "-", ".", "1.2.3", "1e", "1e+", "abc", "0x10", "1 ", "--1", "1e999999", "1e-99999"])
    func refusesWhatIsNoNumberOrBeyondTheFormat(_ text: String) {
        #expect(throws: PostgresError.self) { try wire(text) }
    }

    @Test func moreDigitsThanACoefficientHoldsAreTextOnly() throws {
        let huge = "1" + String(repeating: "0", count: 60) + ".25"
        let bytes = try wire(huge)
        #expect(text(bytes) == huge)
        #expect(decimal(bytes) == nil)
    }
}
