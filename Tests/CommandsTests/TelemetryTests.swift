import Commands
import CoreMetrics
import Events
import Logging
import Operations
import Synchronization
import TestKit
import Testing

/// What an operator sees of commands.
@Suite struct TelemetryTests {
    /// Metrics can be given a backend only once in a process, so that this test has a process of its own.
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

    /// A command of its own name, so that other tests of the process do not count.
    private struct Observed: Command {
        static let name = "Observed"
        let number: Int64
    }

    @Test func eachCommandIsCountedAndOneLineWithoutItsContent() async {
        await #expect(processExitsWith: .success) { try await TelemetryTests.sendAndLook() }
    }

    private static func sendAndLook() async throws {
        let metrics = metrics
        try await TestDatabase.withSchema(migrating: ["outbox", "commands"]) { database in
            let handler = CommandHandler(Observed.self, on: [TallyDecider.self]) { _, plan in
                plan.aggregate(TallyDecider.self, "secret-id")
            } handle: { (command, scope) throws(Refusal) in
                try scope.decide(TallyDecider.self, "secret-id", command.number)
                return scope.result(TallyDecider.self, "secret-id") { Array("\($0.state.total)".utf8) }
            }
            let lines = Lines()
            let bus = try CommandBus(
                CommandBusConfiguration(), postgres: database, commands: [Observed.self], handlers: [handler],
                repositories: [TallyScene.Kept.asStream.repository], logger: lines.logger)
            try await TallyScene.running(bus) {
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
        for name in CommandMetrics.help.keys { #expect(text.contains("# HELP \(name) "), "\(name)") }
    }
}
