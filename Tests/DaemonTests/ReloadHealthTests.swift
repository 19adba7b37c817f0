import Foundation
import Kafka
import Logging
import Operations
import OutboxRelayProgram
import Settings
import StreamCore
import Synchronization
import TestKit
import Testing

@testable import Daemon

/// A reload that does not end is seen.
@Suite struct ReloadHealthTests {
    /// Can be opened once, and waited for.
    private final class Gate: Sendable {
        private let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        func open() { continuation.finish() }
        func pass() async { for await _ in stream {} }
    }

    @Test func aReloadThatHangsIsAStalledLoop() async throws {
        let clock = Mutex(Duration.zero)
        try await Self.run(HealthRegistry(now: { clock.withLock { $0 } })) { health, requests, gate in
            try await eventually { health.live().checks.map(\.name) == ["reload loop"] }
            // Waiting for a signal is no work.
            clock.withLock { $0 = .seconds(1_000) }
            #expect(health.live().isGood)
            requests.request()
            // Only once it works is the time counted; it never ends by itself.
            try await eventually {
                clock.withLock { $0 += .seconds(61) }
                return health.live().problems.first?.hasPrefix("reload loop: no progress for") == true
            }
            gate.open()
            try await eventually { health.live().isGood }
        }
    }

    private static func run(
        _ health: HealthRegistry, _ body: (HealthRegistry, ReloadRequests, Gate) async throws -> Void
    ) async throws {
        let sources = SettingsSources(
            environment: [:],
            overrides: ["kafka.bootstrap_servers=k:9092", "postgres.url=postgresql://me@db:5433/shop"])
        let loaded = try DaemonSettings<OutboxRelayProgram>.load(sources)
        let (requests, files, gate) = (ReloadRequests(), ReloadedFiles(), Gate())
        files.onReload {
            await gate.pass()
            return {}
        }
        let reload = DaemonReload<OutboxRelayProgram>(
            sources: sources, requests: requests, files: files, feature: loaded.settings.feature,
            logLevel: Live(.info), shown: loaded.shown, health: health, stallAfter: .seconds(60),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await reload.run() }
            defer {
                gate.open()
                group.cancelAll()
            }
            try await body(health, requests, gate)
        }
    }
}
