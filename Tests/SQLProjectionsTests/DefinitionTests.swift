import Foundation
import Postgres
import SQLText
import TestKit
import Testing

@testable import SQLProjections

/// Tests which changes of a folder require a new version.
@Suite struct DefinitionTests {
    private static let files = [
        "schema.sql": "CREATE TABLE balances (account text PRIMARY KEY, balance numeric NOT NULL);",
        "Deposited.sql": """
        INSERT INTO balances SELECT aggregate_id, sum((payload ->> 'amount')::numeric) FROM events GROUP BY 1
        ON CONFLICT (account) DO UPDATE SET balance = balances.balance + excluded.balance
        """,
        "Frozen.sql": "DELETE FROM balances USING events WHERE account = aggregate_id",
    ]

    private func with(_ name: String, _ change: (String) -> String) -> [String: String] {
        var files = Self.files
        files[name] = change(files[name] ?? "")
        return files
    }

    @Test func aCommentAndSpaceChangeNothing() throws {
        let toml = "[projection]\nname = \"a\"\ntopics = [\"t\", \"s\"]\n"
        func definition(_ files: [String: String], _ toml: String) throws -> FolderDefinition {
            let place = try Folder(files.merging(["projection.toml": toml]) { given, _ in given })
            return try ProjectionFolder(path: place.path).definition
        }
        let first = try definition(Self.files, toml)
        #expect(Set(first.digests.keys) == ["projection.toml", "schema.sql", "Deposited.sql", "Frozen.sql"])
        let same = with("schema.sql") { "-- The balances.\n" + $0.replacing(" (", with: "\n(\n") }
        #expect(try definition(same, toml) == first)
        #expect(
            try definition(
                Self.files,
                """
                [projection] # comment
                topics = ["s", "t"]
                name = "a"
                mode = "batch"
                unchecked_columns = ["balances.balance"]
                """) == first)
        for line in [
            "order = \"none\"", "unknown_types = \"fail\"", "types = [\"Frozen\"]",
            "[envelope]\nsequence = \"/number\"", "[envelope]\ntombstone_type = \"Gone\"",
            "[topics.t]\nunknown_types = \"fail\"", "[topics.t]\nformat = \"changelog\"",
            "[topics.t]\nsequence = \"/number\"", "[topics.t]\ntombstone_type = \"Gone\"",
        ] {
            let other = try definition(Self.files, toml + line)
            #expect(other.digests["projection.toml"] != first.digests["projection.toml"], "\(line)")
            #expect(other.digests["Frozen.sql"] == first.digests["Frozen.sql"])
        }
        #expect(try definition(Self.files, toml + "[topics.t]\n# nothing") == first)
        let literal = try definition(with("Deposited.sql") { $0.replacing("'amount'", with: "'amounts'") }, toml)
        #expect(literal.digests["Deposited.sql"] != first.digests["Deposited.sql"])
    }

    @Test func otherFilesOfTheSameVersionAreRefused() async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(Self.files)
            _ = try await scene.version(folder)
            _ = try await scene.version(folder)
            var added = with("Frozen.sql") { $0 + " AND balance = 0" }
            added["Closed.sql"] = Self.files["Frozen.sql"]
            let (_, changed) = try scene.folder(added)
            let error = await #expect(throws: VersionSchema.Refusal.self) { try await scene.version(changed) }
            #expect(
                error?.description.hasPrefix(
                    "Closed.sql, Frozen.sql in \(changed.path): other content than in version 1")
                    == true)
            #expect(error?.description.contains("millrace projection adopt") == true)
            var removed = Self.files
            removed["Frozen.sql"] = nil
            let (_, less) = try scene.folder(removed)
            await #expect(throws: VersionSchema.Refusal.self) { try await scene.version(less) }
            // The first folder is still accepted, and the changed one is accepted as a new version.
            _ = try await scene.version(folder)
            let (_, next) = try scene.folder(added, version: 2)
            try await scene.build(next)
        }
    }

    @Test func adoptedStatementsAreTheVersionsOwn() async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(Self.files)
            let (_, changed) = try scene.folder(with("Frozen.sql") { $0 + " AND balance = 0" })
            func adopt(_ folder: ProjectionFolder) async throws -> [String] {
                try await scene.withConnection { try await VersionSchema(folder, isIsolated: true).adopt($0) }
            }
            await #expect(throws: VersionSchema.Refusal.self) { try await adopt(changed) }
            _ = try await scene.version(folder)
            #expect(try await adopt(changed) == ["Frozen.sql"])
            #expect(try await adopt(changed).isEmpty)
            _ = try await scene.version(changed)
            await #expect(throws: VersionSchema.Refusal.self) { try await scene.version(folder) }
        }
    }

    @Test func aStatementThatCannotRunIsNotAdopted() async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(Self.files)
            _ = try await scene.version(folder)
            let (_, changed) = try scene.folder(with("Frozen.sql") { $0 + " AND balanse = 0" })
            await #expect(throws: InvalidFolder.self) {
                try await scene.withConnection { try await VersionSchema(changed, isIsolated: true).adopt($0) }
            }
            _ = try await scene.version(folder)
        }
    }

    @Test func aChangedSchemaNeedsANewVersion() async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(Self.files)
            _ = try await scene.version(folder)
            let files = with("schema.sql") { $0 + "CREATE TABLE more (id int);" }
            let (_, changed) = try scene.folder(files)
            let error = await #expect(throws: VersionSchema.Refusal.self) { try await scene.version(changed) }
            #expect(error?.description.contains("raise projection.version") == true)
            #expect(error?.description.contains("adopt") == false)
            await #expect(throws: VersionSchema.Refusal.self) {
                try await scene.withConnection { try await VersionSchema(changed, isIsolated: true).adopt($0) }
            }
            let (_, next) = try scene.folder(files, version: 2)
            try await scene.build(next)
        }
    }

    @Test func aVersionMadeBeforeFilesWereRecordedTakesThoseOfItsNextStart() async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(Self.files)
            _ = try await scene.version(folder)
            try await scene.withConnection {
                _ = try await $0.execute(
                    .unprepared("UPDATE sql_projections SET definition = NULL WHERE name = $1"),
                    Parameters { $0.append(scene.name) })
            }
            let (_, other) = try scene.folder(with("schema.sql") { $0 + " " })
            await #expect(throws: VersionSchema.Refusal.self) { try await scene.version(other) }
            _ = try await scene.version(folder)
            let (_, changed) = try scene.folder(with("Frozen.sql") { $0 + " AND balance = 0" })
            await #expect(throws: VersionSchema.Refusal.self) { try await scene.version(changed) }
        }
    }
}
