internal import CommandServiceProgram
internal import Daemon
internal import DashboardProgram
internal import DeadLetterHandlerProgram
public import Events
internal import OrderSummaryProgram
internal import OutboxRelayProgram
public import ProjectionPrograms
internal import QueryServiceProgram
internal import SQLProjectionProgram

/// What there is of Millrace: the one list from which commands, `millrace dev` and tests take daemons, consumers,
/// topics and migration sets.
public enum Catalog {
    /// Every daemon, in the order of a record's way.
    public static let daemons: [CatalogDaemon] = [
        CatalogDaemon(OutboxRelayProgram.self),
        CatalogDaemon(OrderSummaryProgram.self),
        CatalogDaemon(DashboardProgram.self),
        CatalogDaemon(SQLProjectionProgram.self),
        CatalogDaemon(DeadLetterHandlerProgram.self),
        CatalogDaemon(CommandServiceProgram.self),
        CatalogDaemon(QueryServiceProgram.self),
    ]

    /// - Returns: nil when no daemon has this name.
    public static func daemon(named name: String) -> CatalogDaemon? {
        daemons.first { $0.name == name }
    }

    /// The names of all projections.
    public static let projections = daemons.flatMap(\.consumers).map(\.consumer)

    /// The projections whose read models are kept in versions.
    public static let versioned: [VersionedProjection] = [OrderSummaryProgram.versioned, DashboardProgram.versioned]

    /// The program that each consumer runs in.
    public static let programs = Dictionary(
        daemons.flatMap { daemon in daemon.consumers.map { ($0.consumer, daemon.name) } }
    ) { first, _ in first }

    /// By what a consumer's events are checked: those of its domain, and only the envelope where nothing here knows the
    /// consumer.
    public static func codec(of consumer: String) -> EventCodec {
        daemons.lazy.flatMap(\.consumers).first { $0.consumer == consumer }?.codec ?? .envelope
    }

    /// The topics of events that a consumer reads.
    public static let eventTopics = unique(daemons.flatMap(\.consumers).flatMap(\.topics))

    /// Where dead letters go, and come back from.
    public static let letterTopics = unique(daemons.flatMap(\.consumers).flatMap(\.letterTopics))

    /// The sets that all daemons need with their default settings, and the demo shop's, in the order in which they are
    /// applied.
    public static let migrationSets = unique(["outbox", "orders"] + daemons.flatMap(\.migrationSets))

    private static func unique(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }
}
