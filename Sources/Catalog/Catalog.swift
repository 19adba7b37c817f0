internal import CommandServiceProgram
internal import Daemon
internal import DashboardProgram
internal import DeadLetterHandlerProgram
public import Events
internal import OrderProcessProgram
internal import OrderSummaryProgram
internal import OutboxRelayProgram
public import ProjectionPrograms
internal import QueryServiceProgram
internal import SQLProjectionProgram

/// The single list of Millrace's daemons, consumers, topics and migration sets. The commands, `millrace dev` and tests
/// use it.
public enum Catalog {
    /// Every daemon, in the order of a record's path.
    public static let daemons: [CatalogDaemon] = [
        CatalogDaemon(OutboxRelayProgram.self),
        CatalogDaemon(OrderSummaryProgram.self),
        CatalogDaemon(DashboardProgram.self),
        CatalogDaemon(SQLProjectionProgram.self),
        CatalogDaemon(DeadLetterHandlerProgram.self),
        CatalogDaemon(CommandServiceProgram.self),
        CatalogDaemon(OrderProcessProgram.self),
        CatalogDaemon(QueryServiceProgram.self),
    ]

    /// - Returns: nil if no daemon has this name.
    public static func daemon(named name: String) -> CatalogDaemon? {
        daemons.first { $0.name == name }
    }

    /// The names of the projections that work with the default settings.
    public static let projections = daemons.filter(\.worksByDefault).flatMap(\.consumers).map(\.consumer)

    /// The projections whose read models have versions.
    public static let versioned: [VersionedProjection] = [OrderSummaryProgram.versioned, DashboardProgram.versioned]

    /// The daemon that runs the projections in SQL.
    public static let sqlProjections = SQLProjectionProgram.name

    /// The name of the program that runs each consumer.
    public static let programs = Dictionary(
        daemons.flatMap { daemon in daemon.consumers.map { ($0.consumer, daemon.name) } }
    ) { first, _ in first }

    /// The codec that checks a consumer's events. For an unknown consumer it checks only the envelope.
    public static func codec(of consumer: String) -> EventCodec {
        daemons.lazy.flatMap(\.consumers).first { $0.consumer == consumer }?.codec ?? .envelope
    }

    /// The topics of events that consumers read.
    public static let eventTopics = unique(daemons.flatMap(\.consumers).flatMap(\.topics))

    /// The topics of dead letters and of retries, of the daemons that every installation has.
    public static let letterTopics = unique(
        daemons.filter { !$0.isOptional }.flatMap(\.consumers).flatMap(\.letterTopics))

    /// The migration sets that all daemons need with their default settings, and those of the demo shop, in the order
    /// in which they are applied.
    public static let migrationSets = unique(["outbox", "orders"] + daemons.flatMap(\.migrationSets))

    /// The daemons that can use a database with these migration sets, in the order of a record's path.
    public static func daemons(using sets: Set<String>) -> [CatalogDaemon] { daemons.filter { $0.canUse(sets) } }

    private static func unique(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }
}
