public import Kafka
internal import Leadership
public import Logging
public import Postgres
public import Projections
public import StreamCore

/// Handles dead letters: stores them with their history in PostgreSQL, retries them by policy or on request of an
/// operator, in the order of their keys, and deletes finished letters after their retention.
///
/// Any number of handlers may run. They share the topics as a consumer group, and one of them sends. The handler
/// requires the migration sets `projections` and `dead-letters`.
public struct DeadLetterHandler: Sendable {
    private let configuration: DeadLetterHandlerConfiguration
    private let postgres: PostgresConfiguration
    private let kafka: KafkaClientConfiguration
    private let logger: Logger
    private let observer: (any ProjectionObserver)?
    private let onTurn: @Sendable () -> Void

    /// - Parameters:
    ///   - observer: receives the progress of each partition; nil for none.
    ///   - onTurn: called at least about once in each poll or election interval while the sending loop makes progress,
    ///     whether or not there is anything to send.
    public init(
        configuration: DeadLetterHandlerConfiguration, postgres: PostgresConfiguration,
        kafka: KafkaClientConfiguration, logger: Logger, observer: (any ProjectionObserver)? = nil,
        onTurn: @escaping @Sendable () -> Void = {}
    ) {
        self.configuration = configuration
        self.postgres = Self.sessions(postgres)
        self.kafka = kafka
        self.logger = logger
        self.observer = observer
        self.onTurn = onTurn
    }

    /// Planner settings of the handler's statements.
    static func sessions(_ postgres: PostgresConfiguration) -> PostgresConfiguration {
        var sessions = postgres
        // The statements are short but use big tables. JIT compilation would take longer than running them.
        sessions.settings["jit"] = "off"
        // The tables are empty at first. A plan that is cached then, including that of a foreign key's check, would be
        // very slow later.
        sessions.settings["plan_cache_mode"] = "force_custom_plan"
        return sessions
    }

    /// Runs until the task is cancelled. It then commits the current batch, waits for records in flight and releases
    /// the lock.
    ///
    /// If the database or the cluster is unavailable, the handler waits for it without a limit.
    ///
    /// - Throws: ``DeadLetterHandlerError`` or `ProjectionError` if the handler cannot work until an operator changes
    ///   something.
    public func run() async throws {
        let problems = configuration.validate()
        guard problems.isEmpty else { throw DeadLetterHandlerError(.configuration, problems.joined(separator: "; ")) }
        let results = ReplayResults()
        let due = DueSignal()
        let runner = ProjectionRunner(
            projection: DeadLetterIngest(configuration, results: results, due: due),
            configuration: configuration.ingest, postgres: postgres, kafka: kafka, logger: logger, observer: observer,
            onCommit: { due.committed() })
        let telemetry = HandlerTelemetry(logger, results: results)
        try await withThrowingTaskGroup { group in
            group.addTask { try await runner.run() }
            group.addTask { try await lead(telemetry, due) }
            do {
                try await group.waitForAll()
            } catch {
                // One part has failed. The other part ends gracefully before the handler fails.
                group.cancelAll()
                while await group.nextResult() != nil {}
                throw error
            }
        }
    }

    private func lead(_ telemetry: HandlerTelemetry, _ due: DueSignal) async throws {
        try await StopSignal.onCancellation { stop in
            try await HandlerLeader(
                configuration: configuration, postgres: postgres, kafka: kafka, telemetry: telemetry, stop: stop,
                due: due, onTurn: onTurn
            ).run()
        }
    }
}

/// The reason why the handler cannot work until an operator changes the setup.
public struct DeadLetterHandlerError: RemediableError, Sendable, CustomStringConvertible {
    public var remedy: Remedy { .changeSetup }

    /// What the operator has to change.
    public enum Code: Sendable, Hashable {
        /// The handler's settings.
        case configuration
        /// The database: a table or a privilege is missing.
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

    public var description: String { "dead-letter handler: \(message)" }
}
