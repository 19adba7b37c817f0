import Settings
import Testing

/// Sections whose names are the author's.
@Suite struct FreeSectionTests {
    private struct Shops: SettingsDeclaration {
        var common: String
        var shops: [String: String] = [:]

        init(from reader: SettingsReader) {
            common = reader.section("common", "What all have.").string("colour", default: "red", "The colour.")
            for (name, section) in reader.sections(in: "shops", "What one shop has.") {
                shops[name] = section.string("colour", default: common, "Its colour.")
                if name == "shut" { section.reject("is shut", suggestion: "open") }
            }
        }
    }

    private func load(_ toml: String) -> Result<Shops, InvalidSettings> {
        do throws(InvalidSettings) {
            return .success(try Shops.load(SettingsSources(SettingsSources.Text(path: "s.toml", toml: toml))).settings)
        } catch {
            return .failure(error)
        }
    }

    @Test func eachNameHasItsSection() throws {
        let read = try load("[shops.\"a.b\"]\ncolour = \"blue\"\n[shops.c]\n[common]\ncolour = \"green\"").get()
        #expect(read.shops == ["a.b": "blue", "c": "green"])
        #expect(try load("").get().shops.isEmpty)
    }

    @Test func whatIsWrongIsToldWhereItStands() {
        let found = load(
            """
            [shops]
            number = 1
            shut.colour = "blue"
            [shops."a.b"]
            color = "blue"
            [shops.c]
            colour = 1
            """)
        guard case .failure(let error) = found else {
            Issue.record("it was read")
            return
        }
        #expect(
            error.problems.map(\.description) == [
                "s.toml:2:1: shops.number: expected a section, [shops.number], found an integer",
                "s.toml:3:1: shops.shut: is shut; did you mean \"open\"?",
                "s.toml:5:1: shops.\"a.b\".color: unknown key; did you mean \"colour\"?",
                "s.toml:7:1: shops.c.colour: expected a string, found an integer",
            ])
    }
}
