import Projections
import SQLText
import Testing

@testable import SQLProjections

@Suite struct ProjectionFolderTests {
    private static let toml = """
        [projection]
        name = "customer-orders"
        topics = ["order-events"]
        """

    private func problems(_ files: [String: String]) throws -> [String] {
        let folder = try Folder(files)
        do {
            _ = try ProjectionFolder(path: folder.path)
            return []
        } catch {
            return error.problems.map { $0.description.replacing(folder.path + "/", with: "") }
        }
    }

    @Test func aFolderIsReadAsItStands() throws {
        let files = [
            "projection.toml": Self.toml + "\nversion = 3\ntypes = [\"B\"]", "schema.sql": "CREATE TABLE t (id int)",
            "A.sql": "SELECT 1", "B.sql": "SELECT 2", "README.md": "x", ".hidden.sql": "x",
        ]
        let place = try Folder(files)
        let folder = try ProjectionFolder(path: place.path)
        #expect(folder.schemaName == "customer_orders_v3")
        #expect(folder.handlers.map(\.type) == ["B", "A"])
        #expect(folder.mode == .batch && folder.order == .key && !folder.strictSequence)
        #expect(folder.handles("A") && !folder.handles("C"))
    }

    @Test func allThatIsWrongIsToldAtOnce() throws {
        let found = try problems([
            "projection.toml": Self.toml + "\ntypes = [\"C\"]", "A.sql": "DROP TABLE t", "B.sql": "SELECT :x",
        ])
        #expect(found.count == 4)
        #expect(found[0].hasPrefix("A.sql:1:1: a statement must begin with"))
        #expect(found[1].hasPrefix("B.sql:1:8: a statement of mode"))
        #expect(found[2] == "schema.sql: no such file")
        #expect(found[3] == "projection.toml: projection.types: no file C.sql")
    }

    @Test(arguments: [
        ("", "projection.name: required"), ("[projection]\nname = \"Orders\"", "projection.toml:2:1: projection.name"),
        ("[projection]\nname = \"a\"", "projection.topics: names no topic"),
        ("[projection]\nnaem = \"a\"", "did you mean \"name\"?"), ("[projection", "projection.toml:1:"),
        (
            "[projection]\nname = \"a\"\ntopics = [\"t\"]\nstrict_sequence = true\norder = \"none\"",
            "projection.toml:4:1: projection.strict_sequence: needs order"
        ),
        (
            "[projection]\nname = \"a\"\ntopics = [\"t\"]\n[envelope]\ntype = \"eventType\"",
            "projection.toml:5:1: envelope.type: expected /MEMBER"
        ),
    ]) func whatIsWrongInTheTOMLIsTold(_ toml: String, _ expected: String) throws {
        let found = try problems(["projection.toml": toml, "schema.sql": "", "apply.sql": "SELECT 1"])
        #expect(found.contains { $0.contains(expected) }, "\(found)")
    }

    @Test func aSchemaEndsNoTransaction() throws {
        let found = try problems([
            "projection.toml": Self.toml, "schema.sql": "CREATE TABLE t (id int);\nCOMMIT;", "apply.sql": "SELECT 1",
        ])
        #expect(
            found == [
                "schema.sql:2:1: schema.sql runs in one transaction with its registration; leave COMMIT out"
            ])
    }
}
