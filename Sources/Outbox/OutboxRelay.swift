public import Kafka
internal import Leadership
public import Logging
public import Postgres
public import StreamCore

/// Publishes the events that services commit to an outbox table. It publishes each event at least once, keeps the order
/// of each key, and loses no event in a crash.
///
/// Several relays may run on one table. One of them publishes each shard, and all running relays share the shards
/// evenly. When a relay ends, the others take over its shards within seconds.
public struct OutboxRelay: Sendable {
    private let configuration: OutboxRelayConfiguration
    private let limits: Live<RelayLimits>
    private let postgres: PostgresConfiguration
    private let kafka: KafkaClientConfiguration
    private let logger: Logger
    private let onTurn: @Sendable () -> Void
    private let onProgress: @Sendable (RelayProgress) -> Void

    /// - Parameters:
    ///   - configuration: the settings of the relay.
    ///   - postgres: the database of the outbox. The relay opens one connection, and up to three for each shard that it
    ///     publishes.
    ///   - kafka: the settings of the producers.
    ///   - logger: receives the relay's log lines.
    ///   - limits: replace those of the configuration and may change while the relay runs; nil to use the
    ///     configuration.
    ///   - onTurn: called after each iteration of the loop that distributes the shards, even while the database does
    ///     not answer.
    ///   - onProgress: called about once a second for each shard while the relay's loops run, even if there is nothing
    ///     to publish or a server does not answer.
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

    /// Publishes until the task is cancelled, and then stops gracefully: it reads no more rows, waits for the rows in
    /// flight (at most ``OutboxRelayConfiguration/drainTimeoutMs``), removes them and releases the lock.
    ///
    /// If the database or the Kafka cluster is not available, it waits and tries again without a limit.
    ///
    /// - Throws: ``OutboxRelayError`` if the relay cannot work until an operator changes the setup.
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

/// The reason why a relay cannot work until an operator changes the setup.
public struct OutboxRelayError: RemediableError, Sendable, CustomStringConvertible {
    public var remedy: Remedy { .changeSetup }

    /// What the operator has to change.
    public enum Code: Sendable, Hashable {
        /// The relay's settings.
        case configuration
        /// The database: a table, a column or a privilege is missing.
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
