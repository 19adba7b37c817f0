import Foundation
import Migrations
import Postgres
import TestKit
import Testing

@Suite struct MigratorTests {
    private func catalog(_ files: [(String, String)]) throws -> MigrationCatalog {
        try MigrationCatalog(files.map { try #require(Migration(fileName: $0.0, sql: Array($0.1.utf8))) })
    }

    private let shop = [
        ("shop_0001_tables", "CREATE TABLE a (id int); CREATE TABLE b (id int);"),
        ("shop_0002_more", "ALTER TABLE a ADD COLUMN name text;"),
    ]

    @Test func appliesOnceAndInOrder() async throws {
        try await TestDatabase.withSchema { configuration in
            let migrator = Migrator(configuration, catalog: try catalog(shop))
            #expect(try await migrator.verify(["shop"]).map(\.state) == [.missing, .missing])
            #expect(try await migrator.up(["shop"]).map(\.number) == [1, 2])
            #expect(try await migrator.up(["shop"]).isEmpty)
            #expect(try await migrator.verify(["shop"]).isEmpty)
            let status = try await migrator.status(["shop"])
            #expect(status.map(\.state) == [.applied, .applied])
            #expect(status.allSatisfy { $0.appliedAt != nil && $0.appliedBy != nil })
        }
    }

    @Test func manyAtOnceApplyEachFileOnce() async throws {
        try await TestDatabase.withSchema { configuration in
            let catalog = try catalog(shop)
            let applied = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<4 {
                    group.addTask { try await Migrator(configuration, catalog: catalog).up(["shop"]).count }
                }
                return try await group.reduce(0, +)
            }
            #expect(applied == 2)
        }
    }

    @Test func makesTheSchemaItself() async throws {
        try await TestDatabase.withSchema { configuration in
            var other = configuration
            other.schema = configuration.schema + "_\"made"
            try await Migrator(other, catalog: try catalog(shop)).up(["shop"])
            let connection = try await PostgresConnection.connect(other)
            #expect(try await connection.execute("SELECT id, name FROM a").rowCount == 0)
            try await connection.execute(script: "DROP SCHEMA \(SQLIdentifier.quoted(other.schema)) CASCADE")
            await connection.close()
        }
    }

    @Test func refusesAFileThatWasChangedAfterItWasApplied() async throws {
        try await TestDatabase.withSchema { configuration in
            try await Migrator(configuration, catalog: try catalog(shop)).up(["shop"])
            var edited = shop
            edited[0].1 += " -- edited"
            edited.append(("shop_0003_new", "CREATE TABLE c ()"))
            let migrator = Migrator(configuration, catalog: try catalog(edited))
            #expect(try await migrator.verify(["shop"]).map(\.state) == [.changed, .missing])
            let error = await #expect(throws: MigrationError.self) { try await migrator.up(["shop"]) }
            #expect(error?.code == .checksumChanged)
            #expect(try await migrator.verify(["shop"]).map(\.state) == [.changed, .missing])
        }
    }

    @Test func aFailingFileLeavesNothingAndThoseBeforeItStay() async throws {
        try await TestDatabase.withSchema { configuration in
            let files = shop + [("shop_0003_bad", "CREATE TABLE c (); SELECT 1/0; CREATE TABLE d ();")]
            let migrator = Migrator(configuration, catalog: try catalog(files))
            let error = await #expect(throws: PostgresError.self) { try await migrator.up(["shop"]) }
            #expect(error?.sqlState == SQLState("22012"))
            #expect(try await migrator.status(["shop"]).map(\.state) == [.applied, .applied, .missing])
            let connection = try await PostgresConnection.connect(configuration)
            #expect(try await connection.execute("SELECT to_regclass('c') IS NULL").bool(0, 0))
            await connection.close()
        }
    }

    @Test func aFileThatEndsItsTransactionIsRefused() async throws {
        try await TestDatabase.withSchema { configuration in
            let migrator = Migrator(
                configuration, catalog: try catalog([("shop_0001_bad", "CREATE TABLE c (); COMMIT;")]))
            let error = await #expect(throws: MigrationError.self) { try await migrator.up(["shop"]) }
            #expect(error?.code == .transactionEnded)
            #expect(try await migrator.status(["shop"]).map(\.state) == [.missing])
        }
    }

    @Test func aDaemonRefusesAnOlderSchemaAndAcceptsANewerOne() async throws {
        try await TestDatabase.withSchema { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            let older = try catalog(Array(shop.prefix(1)))
            let newer = try catalog(shop)
            func require(_ catalog: MigrationCatalog) async throws -> [String] {
                try await SchemaCheck.require(
                    ["shop"], in: configuration.schema, on: connection, catalog: catalog)
            }
            let empty = await #expect(throws: MigrationError.self) {
                _ = try await require(older)
            }
            #expect(empty?.code == .schemaTooOld)
            try await Migrator(configuration, catalog: older).up(["shop"])
            #expect(try await require(older).isEmpty)
            let behind = await #expect(throws: MigrationError.self) {
                _ = try await require(newer)
            }
            #expect(
                behind?.description == "the database schema lacks shop 2 (more); run this program once with --migrate")
            try await Migrator(configuration, catalog: newer).up(["shop"])
            #expect(try await require(older).count == 1)
            #expect(try await Migrator(configuration, catalog: older).verify(["shop"]).map(\.state) == [.unknown])
            await connection.close()
        }
    }

    @Test(arguments: ["a_0001", "a_001_x", "_0001_x", "a_0001_", "a_x001_x", "a_0000_x", "a_-001_x", "ab"])
    func aFileNameOfAnotherFormIsNoMigration(_ name: String) {
        #expect(Migration(fileName: name, sql: []) == nil)
    }

    @Test func numbersWithAGapAreNoCatalog() throws {
        #expect(throws: MigrationError.self) { try catalog([("a_0001_x", ""), ("a_0003_y", "")]) }
        #expect(throws: MigrationError.self) { try catalog([("a_0001_x", ""), ("a_0001_y", "")]) }
        let both = try catalog([("b-c_0002_y", ""), ("b-c_0001_x", "")])
        #expect(try both.migrations(of: "b-c").map(\.name) == ["x", "y"])
        #expect(throws: MigrationError.self) { try both.migrations(of: "a") }
    }
}

@Suite struct EmbeddedMigrationsTests {
    /// A new migration file needs a line in `MigrationCatalog.embedded`.
    @Test func everyFileIsInTheCatalog() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Sources/Migrations/SQL")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".sql") }
        var onDisk: [String: [UInt8]] = [:]
        for file in files {
            onDisk[String(file.dropLast(4))] = Array(try Data(contentsOf: folder.appendingPathComponent(file)))
        }
        let catalog = MigrationCatalog.embedded
        var embedded: [String: [UInt8]] = [:]
        for set in catalog.sets {
            for migration in try catalog.migrations(of: set) {
                let digits = String(migration.number)
                let number = String(repeating: "0", count: 4 - digits.count) + digits
                embedded["\(set)_\(number)_\(migration.name)"] = migration.sql
            }
        }
        #expect(embedded == onDisk)
    }

    @Test func allSetsApplyToOneSchema() async throws {
        // Read models are registered in the tables of the set `projections`.
        let others = MigrationCatalog.embedded.sets.filter { $0 != "projections" }
        let sets = ["projections"] + others
        try await TestDatabase.withSchema(migrating: sets) { configuration in
            let problems = try await Migrator(configuration).verify(sets)
            #expect(problems.isEmpty)
        }
    }
}
