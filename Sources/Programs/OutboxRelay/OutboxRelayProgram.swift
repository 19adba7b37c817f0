public import Daemon
internal import Kafka
internal import Logging
internal import Outbox
public import Postgres
public import Settings

/// The daemon `outbox-relay`.
public enum OutboxRelayProgram: DaemonProgram {
    public struct Feature: FeatureSettings {
        let relay: RelaySettings

        public init(from reader: SettingsReader) {
            relay = RelaySettings(from: reader)
        }

        public static var reloadableKeys: [String] { RelaySettings.reloadableKeys }

        public func adopt(_ reloaded: Self) { relay.adopt(reloaded.relay) }
    }

    public static let name = "outbox-relay"
    public static let abstract = "Publishes the events of an outbox table in PostgreSQL to Kafka."
    public static let operationsPort = 9_401
    public static let metricHelp = OutboxMetrics.help

    public static func migrationSets(for feature: Feature) -> [String] {
        if case .debezium = feature.relay.configuration.layout { return ["outbox-debezium"] }
        return feature.relay.configuration.retention == .keep ? ["outbox", "outbox-keep"] : ["outbox"]
    }

    public static func canUse(migrationSets sets: Set<String>) -> Bool {
        !sets.isDisjoint(with: ["outbox", "outbox-debezium"])
    }

    public static func measuredTables(for feature: Feature) -> MeasuredTables {
        MeasuredTables([feature.relay.configuration.table, feature.relay.configuration.failedTable])
    }

    public static func check(_ feature: Feature, on connection: PostgresConnection) async throws -> [String] {
        try await OutboxRelay.check(feature.relay.configuration, on: connection)
    }

    public static func run(_ feature: Feature, in context: DaemonContext) async throws {
        for property in ["message.timeout.ms", "delivery.timeout.ms"] where context.kafka.properties[property] != nil {
            context.logger.warning(
                "kafka.properties.\(property) has no effect on the relay, because it waits without a limit")
        }
        let health = RelayHealth(context)
        try await OutboxRelay(
            configuration: feature.relay.configuration, postgres: context.postgres, kafka: context.kafka,
            logger: context.logger, limits: feature.relay.limits, onTurn: { health.turned() },
            onProgress: { health.progress($0) }
        ).run()
    }
}
