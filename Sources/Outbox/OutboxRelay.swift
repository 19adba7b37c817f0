public import Kafka
internal import Leadership
public import Logging
public import Postgres
public import StreamCore

/// Publishes the events that services commit to an outbox table: each at least once, those of one key in their order,
/// none lost, whatever crashes.
///
/// Several relays may run on one table: one publishes each shard, and all that are up share the shards evenly. When one
/// ends, the others take its shards over within seconds.
public struct OutboxRelay: Sendable {
    private let configuration: OutboxRelayConfiguration
    private let limits: Live<RelayLimits>
    private let postgres: PostgresConfiguration
    private let kafka: KafkaClientConfiguration
    private let logger: Logger
    private let onTurn: @Sendable () -> Void
    private let onProgress: @Sendable (RelayProgress) -> Void

    /// - Parameters:
    ///   - postgres: where the outbox is; the relay opens one connection, and up to three for each shard that it
    ///     publishes.
    ///   - limits: count instead of those of the configuration, and may change while the relay runs; nil if they do
    ///     not.
    ///   - onTurn: called after each turn of the loop that shares the shards out, whether or not the database answers.
    ///   - onProgress: called about once a second and shard while the relay's loops move, whether or not there is
    ///     anything to publish, and whether or not the servers answer.
    public init(
        configuration: OutboxRelayConfiguration, postgres: PostgresConfiguration, kafka: KafkaClientConfiguration,
        logger: Logger, limits: Live<RelayLimits>? = nil, onTurn: @escaping @Sendable () -> Void = {},
        onProgress: @escaping @Sendable (RelayProgress) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.limits = limits ?? Live(RelayLimits(configuration))
        self.postgres = postgres
        self.kafka = kafka
        self.logger = logger
        self.onTurn = onTurn
        self.onProgress = onProgress
    }

    /// Publishes until the task is cancelled, and then ends gracefully: no more is read, what is in flight is waited
    /// for (``OutboxRelayConfiguration/drainTimeoutMs``) and removed, the lock is given back.
    ///
    /// A database or a cluster that is away, now or for hours, is waited for.
    ///
    /// - Throws: ``OutboxRelayError`` when the relay cannot work until an operator changes the setup.
    public func run() async throws {
        let problems = configuration.validate()
        guard problems.isEmpty else { throw OutboxRelayError(.configuration, problems.joined(separator: "; ")) }
        try await StopSignal.onCancellation { stop in try await publishAllShards(until: stop) }
    }

    private func publishAllShards(until stop: StopSignal) async throws {
        let reports = (0..<configuration.shards).map {
            RelayReports(shard: $0, logger: logger, onProgress: onProgress)
        }
        try await ShardCoordinator(
            configuration: configuration, limits: limits, postgres: postgres, kafka: kafka, reports: reports,
            stop: stop, onTurn: onTurn
        ).run()
    }
}

/// A relay cannot work until an operator changes the setup.
public struct OutboxRelayError: RemediableError, Sendable, CustomStringConvertible {
    public var remedy: Remedy { .changeSetup }

    /// What has to change.
    public enum Code: Sendable, Hashable {
        /// The relay's settings.
        case configuration
        /// The database: the table or a column is missing, or a right.
        case database
        /// The settings of the Kafka client.
        case kafka
    }

    public let code: Code
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "outbox relay: \(message)" }
}
