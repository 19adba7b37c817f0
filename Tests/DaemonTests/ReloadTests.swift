import Foundation
import FoundationNetworking
import Glibc
import TestKit
import Testing

/// Tests SIGHUP, which an operator sends to a running daemon.
@Suite struct ReloadTests {
    /// Runs a daemon without available servers, and gives the body a way to replace its file.
    private func withDaemon(
        _ name: String, _ text: String, _ body: (Executable, (String) throws -> Void) async throws -> Void
    ) async throws {
        let file = NSTemporaryDirectory() + "millrace-\(UUID().uuidString).toml"
        func write(_ text: String) throws {
            let servers = """
                [kafka]
                bootstrap_servers = "127.0.0.1:9"
                [postgres]
                url = "postgresql://127.0.0.1:9/none"
                [operations]
                port = 0

                """
            try (text + "\n" + servers).write(toFile: file, atomically: true, encoding: .utf8)
        }
        try write(text)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let daemon = try Executable(name, ["--config", file])
        _ = try await daemon.port()
        try await body(daemon, write)
        daemon.signal(SIGTERM)
        #expect(try await daemon.exitCode() == 0, "\(daemon.errors)")
    }

    private func metrics(_ daemon: Executable) async throws -> String {
        let url = try #require(URL(string: "http://127.0.0.1:\(try await daemon.port())/metrics"))
        let (data, _) = try await URLSession.shared.data(for: URLRequest(url: url, timeoutInterval: 60))
        return String(decoding: data, as: UTF8.self)
    }

    private var time: Regex<(Substring, Substring)> { #/millrace_reload_last_success_timestamp_seconds ([0-9]+)/# }

    @Test(arguments: [
        "outbox-relay", "order-summary-projection", "dashboard-projection", "dead-letter-handler", "order-process",
        "query-service",
    ])
    func theLogLevel(_ name: String) async throws {
        try await withDaemon(name, "") { daemon, write in
            #expect(!daemon.errors.contains("reloaded"))
            try write("log.level = \"debug\"")
            daemon.signal(SIGHUP)
            try await daemon.waitForLog(#"reloaded changed="log.level: \"info\" → \"debug\"""#)
            #expect(try await metrics(daemon).contains("\nmillrace_reload_last_successful 1\n"))
            daemon.signal(SIGHUP)
            try await daemon.waitForLog("reloaded changed=nothing")
        }
    }

    /// One invalid key prevents all changes, and the error names the key.
    @Test func allOrNothing() async throws {
        try await withDaemon("order-summary-projection", "") { daemon, write in
            let start = try #require(try await metrics(daemon).firstMatch(of: time)?.1)
            try write("log.level = \"debug\"\n[projection]\nbatch_max_records = 0\nbatch_linger_ms = 7")
            daemon.signal(SIGHUP)
            try await daemon.waitForLog("reload failed: all settings and files stay as they were")
            #expect(daemon.errors.contains("projection.batch_max_records: 0 is outside the range 1 to 100_000"))
            #expect(!daemon.errors.contains("DEBUG"))
            let failed = try await metrics(daemon)
            #expect(failed.contains("\nmillrace_reload_last_successful 0\n"))
            #expect(failed.firstMatch(of: time)?.1 == start)
            try write("log.level = \"debug\"\n[projection]\nbatch_max_records = 5\nbatch_linger_ms = 7")
            daemon.signal(SIGHUP)
            try await daemon.waitForLog("projection.batch_linger_ms: 0 → 7, projection.batch_max_records: 2000 → 5")
            #expect(try await metrics(daemon).contains("\nmillrace_reload_last_successful 1\n"))
        }
    }

    /// The daemon names the settings that only take effect after a restart. All others take effect.
    @Test func settingsThatWaitForARestart() async throws {
        try await withDaemon("outbox-relay", "") { daemon, write in
            try write("log.level = \"debug\"\n[relay]\nshards = 3\nidle_poll_ms = 9\npage_rows = 9")
            for _ in 0..<2 {
                daemon.signal(SIGHUP)
                try await eventually {
                    daemon.errors.contains("changed settings that take effect after a restart")
                }
            }
            #expect(daemon.errors.contains(#"settings="relay.page_rows, relay.shards""#), "\(daemon.errors)")
            #expect(
                daemon.errors.contains(#"changed="log.level: \"info\" → \"debug\", relay.idle_poll_ms: 20 → 9""#),
                "\(daemon.errors)")
        }
    }
}
