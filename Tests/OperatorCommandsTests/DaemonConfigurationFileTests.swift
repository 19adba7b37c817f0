import Catalog
import Foundation
import Testing

@testable import OperatorCommands

@Suite struct DaemonConfigurationFileTests {
    private static let accounts = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "projections/accounts").path

    @Test(arguments: Catalog.daemons.map(\.name), [true, false])
    func theDaemonsUnderstandIt(daemon: String, isMock: Bool) throws {
        let entry = try #require(Catalog.daemon(named: daemon))
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("millrace-\(UUID()).toml")
        defer { try? FileManager.default.removeItem(at: file) }
        let text = DaemonConfigurationFile(
            databaseURL: "postgresql://postgres@%2Ftmp%2Fa%22b:5432/postgres", bootstrapServers: "127.0.0.1:9092",
            isMock: isMock, port: 9_080, httpPorts: (queries: 8_081, commands: 8_082), projections: [Self.accounts]
        ).text(for: entry)
        try Data(text.utf8).write(to: file)
        let report = try entry.report(file: file.path, environment: [:], origins: false)
        #expect(report.contains("port = 9080"))
        #expect(report.contains("port = 8081") == (daemon == "query-service"))
        #expect(report.contains("port = 8082") == (daemon == "command-service"))
        #expect(report.contains("commands_url = \"http://127.0.0.1:8082/\"") == (daemon == "query-service"))
        let pages = #"allowed_origins = ["http://127.0.0.1:8081", "http://localhost:8081"]"#
        #expect(report.contains(pages) == (daemon == "command-service"))
        #expect(report.contains("bootstrap_servers = \"127.0.0.1:9092\""))
        #expect(report.contains("retention = \"keep\"") == (isMock && daemon == "outbox-relay"))
        #expect(report.contains("folders = [\"\(Self.accounts)\"]") == (daemon == "sql-projection"))
        #expect(report.contains("folders = [\"\(Self.accounts)/queries\"]") == (daemon == "query-service"))
        let consumes = daemon != "outbox-relay" && !daemon.hasSuffix("-service")
        #expect(report.contains("fetch.wait.max.ms") == (isMock && consumes))
    }
}
