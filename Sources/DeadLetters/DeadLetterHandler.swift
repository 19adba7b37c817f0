public import Kafka
internal import Leadership
public import Logging
public import Postgres
public import Projections
public import StreamCore

/// Handles dead letters: keeps them with their history in PostgreSQL, retries them by policy and on an operator's word,
/// in the order of their keys, and forgets them when they are over.
///
/// Any number of handlers may run: they share the reading as a consumer group, and one of them sends. Needs the
/// migration sets `projections` and `dead-letters`.
public struct DeadLetterHandler: Sendable {
    private let configuration: DeadLetterHandlerConfiguration
    private let postgres: PostgresConfiguration
    private let kafka: KafkaClientConfiguration
    private let logger: Logger
    private let observer: (any ProjectionObserver)?
    private let onTurn: @Sendable () -> Void

    /// - Parameters:
    ///   - observer: hears how the reading of letters fares, partition by partition; nil for nobody.
    ///   - onTurn: called at least about once a poll interval or election while the sending loop moves, whether or not
    ///     there is anything to send.
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

    /// How the handler's statements are planned.
    static func sessions(_ postgres: PostgresConfiguration) -> PostgresConfiguration {
        var sessions = postgres
        // Short statements over big tables: compiling one takes longer than running it.
        sessions.settings["jit"] = "off"
        // The tables are empty at first, and a plan made then is ruinous later, also that of a foreign key's check.
        sessions.settings["plan_cache_mode"] = "force_custom_plan"
        return sessions
    }

    /// Runs until the task is cancelled, and then ends gracefully: the batch under way is committed, what is in flight
    /// is waited for, the lock is given back.
    ///
    /// A database or a cluster that is away, now or for hours, is waited for.
    ///
    /// - Throws: ``DeadLetterHandlerError`` or `ProjectionError` when nothing can work until somebody changes
    /// something.
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
                // One half cannot go on: the other ends gracefully, then the handler does.
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

/// The handler cannot work until somebody changes something.
public struct DeadLetterHandlerError: RemediableError, Sendable, CustomStringConvertible {
    public var remedy: Remedy { .changeSetup }

    /// What has to change.
    public enum Code: Sendable, Hashable {
        /// The handler's settings.
        case configuration
        /// The database: a table is missing, or a right.
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
