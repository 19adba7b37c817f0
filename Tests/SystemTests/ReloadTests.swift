import Foundation
import Glibc
import TestKit
import Testing

/// Sends SIGHUP to daemons that serve requests. Their limits change while they run.
@Suite struct ReloadTests {
    /// Runs a service with a configuration file that the body can replace.
    private static func withService(
        _ name: String, serving purpose: String, _ text: String,
        _ body: (RunningService, (String) throws -> Void) async throws -> Void
    ) async throws {
        let file = NSTemporaryDirectory() + "millrace-\(UUID().uuidString).toml"
        func write(_ text: String) throws { try text.write(toFile: file, atomically: true, encoding: .utf8) }
        try write(text)
        defer { try? FileManager.default.removeItem(atPath: file) }
        try await Pipeline.with { pipeline in
            let daemon = try pipeline.daemon(name, ["http.port": "0"], file: file)
            let service = try await RunningService(daemon, serving: purpose)
            try await body(service) { text in
                try write(text)
                daemon.signal(SIGHUP)
            }
            try await daemon.stop()
        }
    }

    @Test func aCommandServiceTakesSmallerBodies() async throws {
        try await Self.withService("command-service", serving: "commands", "http.max_body_bytes = 100_000") {
            service, reload in
            // The body is not an order, but the service reads it to its end.
            let body = "[\"" + String(repeating: "x", count: 50_000) + "\"]"
            #expect([400, 422].contains(try await service.post("/v1/orders", body).status))
            try reload("http.max_body_bytes = 2_048\nhttp.threads = 2")
            let change = #"reloaded changed="http.max_body_bytes: 100_000 → 2048""#
            try await service.process.waitForLog(change)
            try await service.process.waitForLog("changed settings that take effect after a restart")
            #expect(service.process.errors.contains("http.threads"))
            #expect(try await service.post("/v1/orders", body).status == 413)
            #expect([400, 422].contains(try await service.post("/v1/orders", "[]").status))
            // One invalid value prevents all changes.
            try reload("http.max_body_bytes = 100_000\nhttp.max_requests = 0")
            try await service.process.waitForLog("reload failed: all settings and files stay as they were")
            #expect(service.process.errors.contains("http.max_requests: 0 is outside the range 1 to"))
            #expect(try await service.post("/v1/orders", body).status == 413)
        }
    }

    /// A client keeps its open stream when the limit decreases, and can open another one when the limit increases.
    @Test func aQueryServiceAllowsMoreStreams() async throws {
        try await Self.withService("query-service", serving: "queries", "http.max_streams_per_client = 2") {
            service, reload in
            func open() throws -> EventStream {
                try EventStream(port: service.port, path: "/v1/dashboard/stream?window=1h")
            }
            let first = try open()
            try await eventually { first.output.contains("event: snapshot") }
            try reload("http.max_streams_per_client = 1")
            try await service.process.waitForLog(#"reloaded changed="http.max_streams_per_client: 2 → 1""#)
            let refused = try open()
            try await eventually { refused.output.contains(" 429 ") }
            #expect(!first.isAtEnd)
            try reload("http.max_streams_per_client = 3")
            try await service.process.waitForLog(#"http.max_streams_per_client: 1 → 3""#)
            let second = try open()
            try await eventually { second.output.contains("event: snapshot") }
        }
    }
}
