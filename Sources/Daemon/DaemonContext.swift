public import Kafka
public import Logging
public import Operations
public import Postgres
internal import Synchronization

/// What a daemon's program works with.
public struct DaemonContext: Sendable {
    public let postgres: PostgresConfiguration
    public let kafka: KafkaClientConfiguration
    public let health: HealthRegistry
    public let logger: Logger
    /// How long work may stand still before it counts as stalled.
    public let stallAfter: Duration
    /// To be called when the work has turned, and as often as it likes: the start has succeeded, so that what fails
    /// later is no mistake of the configuration.
    public let started: @Sendable () -> Void
    /// For work that reads files again at SIGHUP.
    public let files: ReloadedFiles
}

/// Turns librdkafka's own log into ours. While a broker is away it would write for ever: each facility gets one line a
/// minute at the level it deserves, the rest is for debugging.
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
        // What it calls an error is mostly a broker that it goes on trying to reach.
        case .error, .warning: .warning
        case .notice, .info: .info
        case .debug: .debug
        }
    }
}
