public import Kafka
public import Logging
public import Operations
public import Postgres
internal import Synchronization

/// The environment in which a daemon's program works.
public struct DaemonContext: Sendable {
    public let postgres: PostgresConfiguration
    public let kafka: KafkaClientConfiguration
    public let health: HealthRegistry
    public let logger: Logger
    /// The maximum time that work may make no progress before it counts as stalled.
    public let stallAfter: Duration
    /// Reports that the work has made progress, and may be called any number of times. The start has then succeeded, so
    /// a later failure is not a mistake of the configuration.
    public let started: @Sendable () -> Void
    /// Registers files that are read again at SIGHUP.
    public let files: ReloadedFiles
}

/// Writes librdkafka's log lines to the daemon's log. While a broker is unavailable, librdkafka would write without
/// end. So each facility gets one line a minute at its level, and the other lines have level debug.
final class KafkaLogLines: Sendable {
    private static let interval = Duration.seconds(60)
    private let logger: Logger
    private let last = Mutex<[String: ContinuousClock.Instant]>([:])

    init(_ logger: Logger) {
        self.logger = logger
    }

    func write(_ level: KafkaLogLevel, _ facility: String, _ message: String) {
        logger.log(
            level: isDue(facility) ? Self.level(level) : .debug, "librdkafka",
            metadata: ["facility": .string(facility), "text": .string(message)])
    }

    private func isDue(_ facility: String) -> Bool {
        let now = ContinuousClock.now
        return last.withLock { last in
            if let previous = last[facility], now - previous < Self.interval { return false }
            last[facility] = now
            return true
        }
    }

    private static func level(_ level: KafkaLogLevel) -> Logger.Level {
        switch level {
        case .emergency, .alert, .critical: .error
        // librdkafka's errors are mostly brokers that it keeps trying to reach.
        case .error, .warning: .warning
        case .notice, .info: .info
        case .debug: .debug
        }
    }
}
