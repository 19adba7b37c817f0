public import Daemon
internal import DeadLetters
internal import Operations
public import Postgres
internal import ProjectionPrograms
internal import Projections
public import Settings

/// The daemon `dead-letter-handler`.
public enum DeadLetterHandlerProgram: DaemonProgram {
    public struct Feature: FeatureSettings {
        let letters: LetterSettings
        let alerts: AlertSettings

        public init(from reader: SettingsReader) {
            letters = LetterSettings(from: reader)
            alerts = AlertSettings(from: reader)
        }
    }

    public static let name = "dead-letter-handler"
    public static let abstract = "Stores and retries events that consumers could not apply, and sends alerts."
    public static let operationsPort = 9_404
    public static let metricHelp = DeadLetterMetrics.help.merging(ProjectionMetrics.help) { own, _ in own }

    public static func migrationSets(for feature: Feature) -> [String] { ["projections", "dead-letters"] }

    public static func measuredTables(for feature: Feature) -> MeasuredTables { MeasuredTables(["dead_letters"]) }

    public static func check(_ feature: Feature, on connection: PostgresConnection) async throws -> [String] {
        try await PartitionOwnership.notes(on: connection)
    }

    public static func run(_ feature: Feature, in context: DaemonContext) async throws {
        let letters = feature.letters.configuration
        // Both intervals may be longer than the limit, which is not a failure.
        let pause = Duration.milliseconds(max(letters.pollIntervalMs, letters.electionIntervalMs))
        let sending = context.health.watch(.loop, "sending loop", limit: context.stallAfter + pause)
        sending.turned(to: .working)
        let handler = DeadLetterHandler(
            configuration: letters, postgres: context.postgres, kafka: context.kafka,
            logger: context.logger,
            // The topics of letters may be created with the first letter.
            observer: ProjectionHealth(context, projection: "dead letters", needsPartitions: false),
            onTurn: {
                context.started()
                sending.progressed()
            })
        guard let alerts = feature.alerts.configuration else { return try await handler.run() }
        let telling = context.health.watch(
            .loop, "alert loop",
            limit: context.stallAfter + .milliseconds(alerts.pollIntervalMs + 2 * alerts.timeoutMs))
        telling.turned(to: .working)
        let sender = AlertSender(context.postgres, alerts, logger: context.logger) { telling.progressed() }
        try await withThrowingTaskGroup { group in
            group.addTask { try await handler.run() }
            group.addTask { await sender.run() }
            // The alert sender ends only when it is cancelled. The daemon ends with the handler.
            try await group.next()
            group.cancelAll()
            try await group.waitForAll()
        }
    }
}
