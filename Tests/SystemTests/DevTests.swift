import Foundation
import Glibc
import TestKit
import Testing

/// `millrace dev` as a process.
@Suite struct DevTests {
    /// Whoever is killed cannot clean up: what it started must notice by itself.
    @Test func whatItStartedEndsWithIt() async throws {
        try await TestSlots.hold {
            let data = "/tmp/millrace-test-dev-" + String(UInt64.random(in: .min ... .max), radix: 36)
            defer { try? FileManager.default.removeItem(atPath: data) }
            let dev = try Executable("millrace", ["dev", "--data", data, "--partitions", "1"])
            try await eventually { dev.output.contains("/health/ready") }
            // The server, its supervisor, and the daemons.
            try await eventually { Self.processes(mentioning: data).count >= 4 }
            dev.signal(SIGKILL)
            _ = try await dev.exitCode()
            try await eventually { Self.processes(mentioning: data).isEmpty }
        }
    }

    /// The processes with `text` in their arguments, but for `millrace dev` itself (proc(5), `cmdline`).
    private static func processes(mentioning text: String) -> [String] {
        let ids = (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.filter { Int($0) != nil } ?? []
        return ids.compactMap { id in
            guard let bytes = FileManager.default.contents(atPath: "/proc/\(id)/cmdline") else { return nil }
            let command = String(decoding: bytes, as: UTF8.self).replacing("\0", with: " ")
            return command.contains(text) && !command.contains("millrace dev") ? command : nil
        }
    }
}
