import Catalog
import Foundation
import Testing

/// `config/` shows operators every setting. The code generates the files, so that they cannot differ from it.
@Suite struct DefaultFileTests {
    private static let names = Catalog.daemons.map(\.name)

    private func path(of name: String) -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return root.appending(path: "config/\(name).toml").path(percentEncoded: false)
    }

    /// To generate the files again: `MILLRACE_WRITE_CONFIG=1 swift test --filter DefaultFileTests`.
    @Test(arguments: names)
    func theFilesSayWhatTheCodeSays(_ name: String) throws {
        let expected = try #require(Catalog.daemon(named: name)).defaultFile()
        if ProcessInfo.processInfo.environment["MILLRACE_WRITE_CONFIG"] != nil {
            try expected.write(toFile: path(of: name), atomically: true, encoding: .utf8)
        }
        let actual = try String(contentsOfFile: path(of: name), encoding: .utf8)
        #expect(
            actual == expected,
            """
            config/\(name).toml is not what the settings are declared as; write it anew: \
            millrace config default \(name) > config/\(name).toml, \
            or MILLRACE_WRITE_CONFIG=1 swift test --filter DefaultFileTests
            """)
    }

    @Test(arguments: names)
    func theFilesAreValid(_ name: String) throws {
        let entry = try #require(Catalog.daemon(named: name))
        let report = try entry.report(file: path(of: name), environment: [:], origins: true)
        #expect(report.contains("bootstrap_servers = \"localhost:9092\""))
    }

    @Test(arguments: names)
    func everythingInTheFilesCanBeUncommented(_ name: String) throws {
        let text = try String(contentsOfFile: path(of: name), encoding: .utf8)
        let folder = NSTemporaryDirectory() + "millrace-default-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for secret in ["pg-password", "kafka-password", "webhook-secret", "collector-token"] {
            try "sixteen bytes at least".write(toFile: "\(folder)/\(secret)", atomically: false, encoding: .utf8)
        }
        let uncommented = text.split(separator: "\n").map { line in
            line.hasPrefix("#") && !line.hasPrefix("# ") ? line.dropFirst() : line
        }
        let file = "\(folder)/all.toml"
        try uncommented.joined(separator: "\n").write(toFile: file, atomically: false, encoding: .utf8)
        let report = try #require(Catalog.daemon(named: name))
            .report(file: file, environment: [:], origins: true)
        #expect(!report.contains("is not set"), "\(report)")
        #expect(!report.contains("# default"), "every setting is in the file")
    }
}
