import Foundation
import Glibc
import TestKit
import Testing

/// Tests that the memory of a daemon is limited, however much work accumulated while it did not run.
@Suite struct MemoryTests {
    /// The relay limits the bytes of a page before it reads the page. The sizes of small rows do not show the sizes of
    /// the large rows that follow them.
    @Test func aRelayThatFindsLargeRowsBehindSmallOnesStaysSmall() async throws {
        try await Pipeline.with { pipeline in
            let relay = try pipeline.relay()
            try await pipeline.execute(Self.rows(count: 1, bytes: 1))
            try await eventually { try await pipeline.number("SELECT count(*) FROM outbox") == 0 }
            relay.signal(SIGSTOP)
            try await pipeline.execute(Self.rows(count: 5_000, bytes: 200))
            try await pipeline.execute(Self.rows(count: 400, bytes: 900_000))
            relay.signal(SIGCONT)
            try await eventually { try await pipeline.number("SELECT count(*) FROM outbox") == 0 }
            let peak = try Self.peakBytes(of: relay.processID)
            #expect(peak < 128 << 20, "\(peak >> 20) MiB")
            try await relay.stop()
        }
    }

    private static func rows(count: Int, bytes: Int) -> String {
        """
        INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, payload)
        SELECT 'OrderConfirmed', 'Order', 'ord-\(bytes)-' || number, 1, json_build_object('x', repeat('y', \(bytes)))
        FROM generate_series(1, \(count)) AS number
        """
    }

    /// The peak resident size of the process, from `status` in proc(5).
    private static func peakBytes(of process: Int32) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
        return try #require(Int(line.split(whereSeparator: \.isWhitespace)[1])) << 10
    }
}
