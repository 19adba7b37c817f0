internal import Kafka
internal import Logging
internal import Operations
internal import Outbox
public import Postgres
public import Settings
internal import Synchronization

/// The daemon `outbox-relay`.
public enum OutboxRelayProgram: DaemonProgram {
    public struct Feature: FeatureSettings {
        let relay: RelaySettings

        public init(from reader: SettingsReader) {
            relay = RelaySettings(from: reader)
        }
    }

    public static let name = "outbox-relay"
    public static let abstract = "Publishes the events of an outbox table in PostgreSQL to Kafka."
    public static let operationsPort = 9_401

    public static func migrationSets(for feature: Feature) -> [String] {
        if case .debezium = feature.relay.configuration.layout { return ["outbox-debezium"] }
        return feature.relay.configuration.retention == .keep ? ["outbox", "outbox-keep"] : ["outbox"]
    }

    public static func check(_ feature: Feature, on connection: PostgresConnection) async throws -> [String] {
        try await OutboxRelay.check(feature.relay.configuration, on: connection)
    }

    public static func run(_ feature: Feature, in context: DaemonContext) async throws {
        for property in ["message.timeout.ms", "delivery.timeout.ms"] where context.kafka.properties[property] != nil {
            context.logger.warning(
                "kafka.properties.\(property) has no effect on the relay, which never gives a record up")
        }
        let health = RelayHealth(context)
        try await OutboxRelay(
            configuration: feature.relay.configuration, postgres: context.postgres, kafka: context.kafka,
            logger: context.logger, onProgress: { health.progress($0) }
        ).run()
    }
}

/// Makes watches of what the relay reports: its loops turn whether or not the servers answer, its rows move when they
/// do.
private final class RelayHealth: Sendable {
    private struct Shard {
        let loop: WatchHandle
        let rows: WatchHandle
        var published: Int64
    }

    private let context: DaemonContext
    private let shards = Mutex<[Int: Shard]>([:])

    init(_ context: DaemonContext) {
        self.context = context
    }

    func progress(_ progress: RelayProgress) {
        shards.withLock { shards in
            var shard = shards[progress.shard] ?? watch(progress)
            report(progress)
            shard.loop.turned(to: .working)
            shard.loop.progressed()
            let hasWork = progress.isActive && (progress.inFlight > 0 || progress.backlog > 0)
            shard.rows.turned(to: hasWork ? .working : .idle)
            if progress.published != shard.published { shard.rows.progressed() }
            shard.published = progress.published
            shards[progress.shard] = shard
        }
    }

    /// A relay that cannot publish is not ready, nor is one whose rows need an operator's hand.
    private func report(_ progress: RelayProgress) {
        let condition = "outbox shard \(progress.shard)"
        switch progress.standing {
        case .away(let reason): context.health.notReady(condition, because: "away: \(reason)")
        case .publishing, .standingBy:
            context.started()
            if let trouble = progress.trouble {
                context.health.notReady(condition, because: trouble)
            } else {
                context.health.ready(condition)
            }
        }
    }

    private func watch(_ progress: RelayProgress) -> Shard {
        Shard(
            loop: context.health.watch(.loop, "relay loop \(progress.shard)", limit: context.stallAfter),
            rows: context.health.watch(.partition, "outbox shard \(progress.shard)", limit: context.stallAfter),
            published: progress.published)
    }
}
