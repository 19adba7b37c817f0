import Foundation
import Postgres
import TestKit
import Testing

@testable import SQLProjections

/// Tests the folders that are part of the product.
@Suite struct ShippedFolderTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "projections")

    static let names: [String] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []
        return names.filter { !$0.hasPrefix(".") && !$0.hasSuffix(".md") }.sorted()
    }()

    @Test func thereAreSome() {
        #expect(Self.names.contains("accounts") && Self.names.contains("product-stats"))
    }

    @Test(arguments: names) func itsCasesHoldAndItConverges(_ name: String) async throws {
        let folder = try ProjectionFolder(path: Self.root.appending(path: name).path)
        try await TestDatabase.withSchema(migrating: ["projections", "sql-projections"]) { postgres in
            let connection = try await PostgresConnection.connect(postgres)
            let trial = try FolderTrial(folder, on: connection)
            let tested = try await trial.test()
            for finding in tested { #expect(finding.isGood, "\(finding)") }
            #expect(tested.contains { $0.subject.hasPrefix("queries/") })
            for finding in try await trial.check(count: 100, seed: 1) { #expect(finding.isGood, "\(finding)") }
            for finding in try await trial.explain(copies: 200) { #expect(finding.isGood, "\(finding)") }
            await connection.close()
        }
    }
}
