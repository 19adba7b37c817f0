import Commands
import CoreMetrics
import Events
import Logging
import Operations
import Postgres
import Synchronization
import TestKit
import Testing

/// The metrics and log lines of commands.
@Suite struct TelemetryTests {
    /// A process can set its metrics backend only once, so no other test of this process sets one.
    private static let metrics: PrometheusMetrics = {
        let metrics = PrometheusMetrics(help: CommandMetrics.help)
        MetricsSystem.bootstrap(metrics)
        return metrics
    }()

    private final class Lines: Sendable {
        private let kept = Mutex<[String]>([])
        var all: [String] { kept.withLock { $0 } }

        var logger: Logger {
            var logger = Logger(label: "test") { _ in Handler(lines: self) }
            logger.logLevel = .info
            return logger
        }

        private struct Handler: LogHandler {
            let lines: Lines
            var metadata: Logger.Metadata = [:]
            var logLevel = Logger.Level.info

            subscript(metadataKey key: String) -> Logger.Metadata.Value? {
                get { metadata[key] }
                set { metadata[key] = newValue }
            }

            func log(event: LogEvent) {
                let fields = (event.metadata ?? [:]).filter { $0.key != "ms" }.sorted { $0.key < $1.key }
                let text = fields.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
                lines.kept.withLock { $0.append("\(event.level) \(event.message) \(text)") }
            }
        }
    }

    /// A command with its own name, so that other tests of the process do not change its metrics.
    private struct Observed: Command {
        static let name = "Observed"
        let number: Int64
    }

    /// A fact that a bus may cache.
    private enum Known: CachedFact {
        static let name = "known"
        static let absent = false

        static func isKept(_ value: Bool) -> Bool { value }
        static func reads(_ keys: [String]) -> [(Statement, Parameters)] { [("SELECT true", Parameters())] }
        static func values(_ results: ArraySlice<QueryResult>) throws -> [String: Bool] { ["a": true] }
    }

    @Test func eachCommandIsCountedAndOneLineWithoutItsContent() async {
        await #expect(processExitsWith: .success) { try await TelemetryTests.sendAndLook() }
    }

    private static func sendAndLook() async throws {
        let metrics = metrics
        try await TestDatabase.withSchema(migrating: ["outbox", "commands"]) { database in
            let handler = CommandHandler(Observed.self, on: [TallyDecider.self]) { _, plan in
                plan.aggregate(TallyDecider.self, "secret-id")
                plan.fact(Known.self, "a")
            } handle: { (command, scope) throws(Refusal) in
                try scope.decide(TallyDecider.self, "secret-id", command.number)
                return scope.result(TallyDecider.self, "secret-id") { Array("\($0.state.total)".utf8) }
            }
            let lines = Lines()
            let bus = try CommandBus(
                CommandBusConfiguration(), postgres: database, commands: [Observed.self], handlers: [handler],
                repositories: [TallyScene.Kept.asStream.repository], cachedFacts: [Known.self], logger: lines.logger)
            try await TallyScene.running(bus) {
                try await eventually { bus.keepsFacts }
                let request = CommandRequest(idempotencyKey: TallyScene.key("secret-key"))
                try await bus.send(Observed(number: 4_711), request)
                try await bus.send(Observed(number: 4_711), request)
                try await bus.send(Observed(number: -9_999))
                await #expect(throws: CommandFailure.versionMismatch(current: 1)) {
                    try await bus.send(Observed(number: 1), CommandRequest(expectedVersion: 5))
                }
            }
            #expect(
                lines.all == [
                    "info command command=Observed events=1 status=accepted",
                    "info command command=Observed status=replayed",
                    "info command command=Observed rule=below-zero status=refused",
                    "info command command=Observed status=version_mismatch",
                ])
        }
        let text = metrics.exposition()
        for status in ["accepted", "replayed", "refused", "version_mismatch"] {
            #expect(text.contains("cqrs_commands_total{command_type=\"Observed\",status=\"\(status)\"} 1\n"))
        }
        #expect(text.contains("cqrs_commands_total{command_type=\"Observed\",status=\"failed\"} 0\n"))
        #expect(text.contains("cqrs_command_duration_seconds_count{command_type=\"Observed\"} 4\n"))
        for (metric, value) in [
            ("lookups_total{fact=\"known\",result=\"miss\"}", 1), ("lookups_total{fact=\"known\",result=\"hit\"}", 3),
            ("reads_saved_total{fact=\"known\"}", 3),
        ] {
            #expect(text.contains("millrace_command_fact_\(metric) \(value)\n"), "\(metric): \(text)")
        }
        for name in CommandMetrics.help.keys { #expect(text.contains("# HELP \(name) "), "\(name)") }
    }
}
