internal import CommandPrograms
internal import Commands
public import Daemon
internal import Events
internal import Operations
internal import OrderProcess
internal import Orders
internal import Postgres
internal import ProcessManagers
internal import ProjectionPrograms
internal import Projections
public import Settings

/// The daemon `order-process`.
public enum OrderProcessProgram: DaemonProgram {
    public struct Feature: FeatureSettings {
        let projection: ProjectionSettings
        let process: OrderProcessSettings

        public init(from reader: SettingsReader) {
            projection = ProjectionSettings(from: reader, consumer: OrderProcessPolicy.name, order: .key)
            process = OrderProcessSettings(
                from: reader, eventsKeptDays: projection.configuration.processedEventsRetentionDays)
        }

        public static var reloadableKeys: [String] { ProjectionSettings.reloadableKeys }

        public func adopt(_ reloaded: Self) { projection.adopt(reloaded.projection) }
    }

    public static let name = "order-process"
    public static let abstract =
        "Reserves stock, takes the payment and ships confirmed orders, or cancels them and releases stock and payment."
    public static let operationsPort = 9_408
    public static let isOptional = true
    /// An installation needs this daemon only if it handles all orders, payments, shipments and stock. The load of the
    /// demo shop does not use it.
    public static let worksByDefault = false
    public static let metricHelp = ProcessMetrics.help.merging(ProjectionMetrics.help) { own, _ in own }

    public static var consumers: [Consumption] {
        let policy = OrderProcessPolicy(OrderProcessRules())
        let route = DeadLetterRoute(consumer: policy.name)
        return [
            Consumption(
                consumer: policy.name, topics: policy.topics, letterTopics: [route.letterTopic, route.retryTopic],
                codec: EventCodec(OrderEventPayload.self))
        ]
    }

    public static func migrationSets(for feature: Feature) -> [String] {
        ["projections"] + OrderProcessCommands.migrationSets
    }

    public static func measuredTables(for feature: Feature) -> MeasuredTables {
        MeasuredTables(["parked_events", "processed_events", "processes", "process_steps"])
    }

    public static func run(_ feature: Feature, in context: DaemonContext) async throws {
        let policy = OrderProcessPolicy(feature.process.rules, topicSuffix: feature.projection.topicSuffix)
        let engine = ProcessEngine(
            policy,
            try OrderProcessCommands.executor(
                readModels: InlineFolders(), notifyChannel: feature.process.notifyChannel))
        var postgres = context.postgres
        postgres.settings.merge(CommandExecutor.sessionSettings) { given, _ in given }
        let runner = ProjectionRunner(
            projection: ProcessProjection(engine), configuration: feature.projection.configuration, postgres: postgres,
            kafka: context.kafka, logger: context.logger,
            observer: ProjectionHealth(context, projection: policy.name))
        let pollMs = feature.process.deadlinePollMs
        let deadlines = ProcessDeadlines(engine, postgres: postgres, pollMs: pollMs, logger: context.logger)
        let pruner = ProcessPruner(
            process: policy.name, postgres: postgres, keptDays: feature.process.finishedKeptDays,
            logger: context.logger)
        let watch = context.health.watch(
            .loop, "deadline loop", limit: context.stallAfter + .milliseconds(pollMs))
        watch.turned(to: .working)
        defer { watch.end() }
        try await withThrowingTaskGroup { group in
            group.addTask { try await runner.run() }
            group.addTask { await deadlines.run { watch.progressed() } }
            group.addTask { await pruner.run() }
            // The deadlines and the pruner end only when they are cancelled. The daemon ends with the runner.
            try await group.next()
            group.cancelAll()
            try await group.waitForAll()
        }
    }
}
