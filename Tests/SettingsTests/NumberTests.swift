import Settings
import Testing

/// Tests how each layer may write numbers with a fraction.
@Suite struct NumberTests {
    private struct Part: SettingsDeclaration {
        var ratio: Double

        init(from reader: SettingsReader) {
            let section = reader.section("part", "A part.")
            ratio = section.number("ratio", default: 0.5, in: 0...1, "How much.")
        }
    }

    private static func ratio(_ overrides: [String] = [], file: String? = nil) throws -> Double {
        let folder = try Folder()
        let path = try file.map { try folder.write("m.toml", $0) }
        return try Part.load(SettingsSources(file: path, environment: [:], overrides: overrides)).settings.ratio
    }

    @Test func numbersAreReadFromEveryLayer() throws {
        #expect(try Self.ratio() == 0.5)
        #expect(try Self.ratio(file: "[part]\nratio = 0.05") == 0.05)
        #expect(try Self.ratio(file: "[part]\nratio = 1") == 1)
        #expect(try Self.ratio(["part.ratio=0.25"], file: "[part]\nratio = 0.05") == 0.25)
        #expect(try Self.ratio(["part.ratio=1e-3"]) == 0.001)
    }

    @Test(arguments: [
        ("1.5", "1.5 is outside the range 0.0 to 1.0"), ("-1", "-1.0 is outside the range 0.0 to 1.0"),
        ("much", "expected a number, found \"much\""), ("nan", "nan is outside the range 0.0 to 1.0"),
    ])
    func whatIsNoneIsRefused(_ text: String, problem: String) {
        let error = #expect(throws: InvalidSettings.self) { try Self.ratio(["part.ratio=\(text)"]) }
        #expect(error?.description == "--set part.ratio: \(problem)", "\(String(describing: error))")
    }

    @Test func aStringIsNoNumber() throws {
        let error = #expect(throws: InvalidSettings.self) { try Self.ratio(file: "[part]\nratio = \"0.1\"") }
        #expect(error?.description.hasSuffix("part.ratio: expected a number, found a string") == true)
    }
}
