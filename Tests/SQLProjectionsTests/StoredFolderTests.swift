import Foundation
import Postgres
import ReadModels
import SQLText
import TestKit
import Testing

@testable import SQLProjections

/// Tests the files of versions in the database: which are stored, when, and which are rejected.
@Suite struct StoredFolderTests {
    private static let files = [
        "schema.sql": "-- Balances, in €.\nCREATE TABLE balances (account text PRIMARY KEY, balance numeric NOT NULL);",
        "Deposited.sql": """
        INSERT INTO balances SELECT aggregate_id, sum((payload ->> 'amount')::numeric) FROM events GROUP BY 1
        ON CONFLICT (account) DO UPDATE SET balance = balances.balance + excluded.balance
        """,
    ]

    private func stored(_ scene: Scene, version: Int = 1) async throws -> ProjectionFolder {
        try await scene.withConnection { try await StoredFolder.load(scene.name, version: version, on: $0) }
    }

    private func texts(_ folder: ProjectionFolder) -> [String: String] {
        Dictionary(uniqueKeysWithValues: folder.files.files.map { ($0.name, $0.text) })
    }

    @Test func aVersionIsRunWithItsStoredFiles() async throws {
        try await Scene.with { scene in
            let folder = try scene.folder(Self.files, settings: "types = [\"Deposited\"]").1
            _ = try await scene.version(folder)
            // The folder itself no longer exists.
            #expect(!FileManager.default.fileExists(atPath: folder.path))
            let kept = try await stored(scene)
            #expect(texts(kept) == texts(folder))
            #expect(texts(kept).keys.sorted() == ["Deposited.sql", "projection.toml", "schema.sql"])
            #expect(kept.definition == folder.definition && kept.path == "\(scene.name)@1")
            try await scene.produce("a", Scene.event("Deposited", "a", 1, "{\"amount\":5}"))
            try await scene.run(try await scene.version(kept))
            #expect(try await scene.column("SELECT balance::text FROM \(scene.name).balances") == ["5"])
        }
    }

    @Test func theFilesAreThoseOfTheLastStart() async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(Self.files)
            _ = try await scene.version(folder)
            var commented = Self.files
            commented["Deposited.sql"]? += "\n-- A comment."
            let (_, second) = try scene.folder(commented, settings: "unchecked_columns = [\"balances.balance\"]")
            _ = try await scene.version(second)
            #expect(texts(try await stored(scene)) == texts(second))
            #expect(try await stored(scene).uncheckedColumns == ["balances.balance"])
            // Other statements are refused, and the stored files do not change.
            commented["Closed.sql"] = "DELETE FROM balances USING events WHERE account = aggregate_id"
            let (_, other) = try scene.folder(commented)
            await #expect(throws: VersionSchema.Refusal.self) { try await scene.version(other) }
            #expect(texts(try await stored(scene)) == texts(second))
            // A verification does not write the files.
            _ = try await FolderReplay(
                VersionSchema(folder, isIsolated: true), scene.postgres, kafka: scene.kafka
            ).run()
            #expect(texts(try await stored(scene)) == texts(second))
            // Adopted files become the version's files, and files that are no longer in the folder are removed.
            let adopt = { (folder: ProjectionFolder) in
                try await scene.withConnection { try await VersionSchema(folder, isIsolated: true).adopt($0) }
            }
            #expect(try await adopt(other).contains("Closed.sql"))
            #expect(texts(try await stored(scene)) == texts(other))
            #expect(try await adopt(folder).contains("Closed.sql"))
            #expect(texts(try await stored(scene)) == texts(folder))
        }
    }

    @Test func aVersionOfBeforeGetsItsFilesAtTheNextStart() async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(Self.files)
            _ = try await scene.version(folder)
            _ = try await scene.column("DELETE FROM sql_projection_files RETURNING path")
            let refusal = await #expect(throws: VersionSchema.Refusal.self) { try await stored(scene) }
            #expect(refusal?.description.contains("start sql-projection with it once") == true)
            _ = try await scene.version(folder)
            #expect(texts(try await stored(scene)) == texts(folder))
        }
    }

    @Test func whatWasChangedByHandIsNotUsedAndPutRightByTheNextStart() async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(Self.files)
            _ = try await scene.version(folder)
            _ = try await scene.column(
                "UPDATE sql_projection_files SET content = '-- no' WHERE path = 'Deposited.sql' RETURNING path")
            let refusal = await #expect(throws: VersionSchema.Refusal.self) { try await stored(scene) }
            #expect(refusal?.description.hasPrefix("Deposited.sql of version 1") == true)
            _ = try await scene.version(folder)
            #expect(texts(try await stored(scene)) == texts(folder))
        }
    }

    @Test func filesGoWithTheirVersion() async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(Self.files)
            _ = try await scene.version(folder)
            let (_, next) = try scene.folder(Self.files, version: 2)
            try await scene.build(next)
            #expect(texts(try await stored(scene, version: 2)) == texts(next))
            _ = try await scene.rebuild(next).abort()
            #expect(
                try await scene.column("SELECT DISTINCT version::text FROM sql_projection_files") == ["1"])
        }
    }

    @Test func foldersThatNoDatabaseKeepsAreRefused() throws {
        func problem(_ files: [String: String]) -> String? {
            do {
                let place = try Folder(files)
                defer { withExtendedLifetime(place) {} }
                _ = try FolderFiles(path: place.path)
                return nil
            } catch {
                return "\(error)"
            }
        }
        let toml = "[projection]\nname = \"a\"\ntopics = [\"t\"]\n"
        #expect(problem(["projection.toml": toml]) == nil)
        let large = String(repeating: "-", count: FolderFiles.Limit.fileBytes)
        #expect(problem(["projection.toml": toml, "a.sql": large]) == nil)
        let tooLarge = problem(["projection.toml": toml, "a.sql": large + "-"])
        #expect(tooLarge?.hasSuffix("a.sql: larger than 1048576 bytes") == true)
        let several = Dictionary(uniqueKeysWithValues: "abcde".map { ("\($0).sql", large) })
        #expect(
            problem(several.merging(["projection.toml": toml]) { $1 })?.contains("at most 4194304 are allowed") == true)
        #expect(problem(["projection.toml": toml, "a.sql": "SELECT '\0'"])?.hasSuffix("has a NUL character") == true)
        #expect(problem(["a.sql": ""])?.hasSuffix("projection.toml: no such file") == true)
        #expect(problem(["projection.toml": toml, "conf.d/a.toml": ""])?.contains("conf.d") == true)
    }
}
