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
        (
            "[projection]\nname = \"a\"\ntopics = [\"t\"]\n[topics.u]",
            "projection.toml:4:9: topics.u: is not in projection.topics; add it there, or remove the table"
        ),
        (
            "[projection]\nname = \"a\"\ntopics = [\"crm.people\"]\n[topics.crm.people]",
            "projection.toml:4:9: topics.crm: a topic's name with dots needs quotes: [topics.\"crm.people\"]"
        ),
        (
            "[projection]\nname = \"a\"\ntopics = [\"t\"]\n[topics.t]\norder = \"none\"",
            "projection.toml:5:1: topics.t.order: unknown key; did you mean \"projection.order\"?"
        ),
        (
            "[projection]\nname = \"a\"\ntopics = [\"t\"]\n[topics.t]\nformat = \"avro\"",
            "projection.toml:5:1: topics.t.format: \"avro\" is not one of: millrace"
        ),
        (
            """
            [projection]
            name = "a"
            topics = ["t", "u.v"]
            strict_sequence = true
            [topics."u.v"]
            format = "changelog"
            """, "projection.toml:5:9: topics.\"u.v\": strict_sequence needs the sequence of each event"
        ),
    ]) func whatIsWrongInTheTOMLIsTold(_ toml: String, _ expected: String) throws {
        let found = try problems(["projection.toml": toml, "schema.sql": "", "apply.sql": "SELECT 1"])
        #expect(found.contains { $0.contains(expected) }, "\(found)")
    }

    @Test func aTopicChangesWhatTheFolderSays() throws {
        func folder(_ toml: String) throws -> ProjectionFolder {
            let toml = "[projection]\nname = \"a\"\ntopics = [\"t\", \"u\"]\n" + toml
            let place = try Folder(["projection.toml": toml, "schema.sql": "", "A.sql": "SELECT 1"])
            return try ProjectionFolder(path: place.path)
        }
        let plain = try folder("[topics.u]\nunknown_types = \"fail\"")
        #expect(plain.policies["t"].unknownTypes == .ignore && plain.policies["u"].unknownTypes == .fail)
        #expect(plain.readsPlainEvents)
        // Fields were moved in records of another form.
        let anew = try folder("[envelope]\nsequence = \"/n\"\n[topics.u]\nformat = \"millrace\"")
        #expect(!anew.policies["t"].envelope.readsPlainEvents && anew.policies["u"].envelope.readsPlainEvents)
        let more = try folder("[envelope]\nsequence = \"/n\"\n[topics.u]\ntype = \"/eventType\"")
        #expect(!more.policies["u"].envelope.readsPlainEvents && !more.readsPlainEvents)
        // All topics say it themselves, so that the folder need not.
        let strict = """
            strict_sequence = true
            [envelope]
            format = "changelog"
            [topics.t]
            sequence = "/n"
            [topics.u]
            format = "millrace"
            """
        #expect(try folder(strict).strictSequence)
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
