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

/// The health report shows a reload that does not end.
@Suite struct ReloadHealthTests {
    /// A gate that tasks wait for and that opens once.
    private final class Gate: Sendable {
        private let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        func open() { continuation.finish() }
        func pass() async { for await _ in stream {} }
    }

    @Test func aReloadThatHangsIsAStalledLoop() async throws {
        let clock = Mutex(Duration.zero)
        try await Self.run(HealthRegistry(now: { clock.withLock { $0 } })) { health, requests, gate in
            try await eventually { health.live().checks.map(\.name) == ["reload loop"] }
            // The time in which the loop waits for a signal does not count.
            clock.withLock { $0 = .seconds(1_000) }
            #expect(health.live().isGood)
            requests.request()
            // The time counts only from the moment the reload runs. This reload never ends on its own.
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
