internal import ArgumentParser
internal import Postgres
internal import Projections

/// `millrace projection`: what operators do with running projections, and what authors do with folders of SQL.
struct ProjectionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "projection", abstract: "Looks after projections, and tries folders of SQL.",
        subcommands: [
            NewFolder.self, TestFolder.self, CheckFolder.self, ExplainFolder.self, AdoptFolder.self,
            BreakersCommand.self,
        ])
}

/// `millrace projection breakers`: the circuit breakers of partitions.
struct BreakersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "breakers",
        abstract: "Lists open circuit breakers, and releases them.",
        discussion: """
            A partition whose events fail one after the other, or all of one type, opens its circuit breaker: nothing \
            more of it becomes a dead letter, and one event at a time is tried until one can be applied. It closes by \
            itself when a mended release runs. Release it when the events are bad and not the release: they then become \
            dead letters, up to the limit again. docs/dead-letters.md explains more.

            \(exitCodes)
            """,
        subcommands: [ListBreakers.self, ReleaseBreakers.self])

    static let exitCodes = """
        Exit codes: 0 done, or shown by the dry run · 1 no open circuit breaker matched · 64 wrong usage · 69 the \
        database cannot be reached or refuses · 70 a failure that should not happen · 78 the configuration or the \
        database schema is wrong.
        """
}

/// Which circuit breakers.
struct BreakerFilterOptions: ParsableArguments {
    @Option(help: "Those of this projection, such as order-summary.")
    var projection: String?

    @Option(help: "Those of this version of the projection.")
    var version: Int?

    @Option(help: "Those of this topic.")
    var topic: String?

    @Option(help: "Those of this partition; needs --topic.")
    var partition: Int32?

    @Option(name: .customLong("class"), help: "Those opened by this error class, such as missing_field.")
    var errorClass: String?

    @Option(name: .customLong("type"), help: "Those opened by this event type, such as ItemAdded.")
    var eventType: String?

    func validate() throws {
        if partition != nil && topic == nil { throw ValidationError("--partition needs --topic.") }
    }

    var isEmpty: Bool {
        projection == nil && version == nil && topic == nil && partition == nil && errorClass == nil
            && eventType == nil
    }

    var filter: OpenCircuitBreakers.Filter {
        var filter = OpenCircuitBreakers.Filter()
        filter.projection = projection
        filter.version = version
        filter.topic = topic
        filter.partition = partition
        filter.errorClass = errorClass
        filter.eventType = eventType
        return filter
    }
}

extension DatabaseOptions {
    /// Runs `body` with the circuit breakers of the database.
    func withBreakers<Result>(
        _ body: (OpenCircuitBreakers, PostgresConnection) async throws -> Result
    ) async throws -> Result {
        try await withSession(
            named: "millrace-projection", tables: (of: "projections", sets: ["projections"])
        ) { try await body(OpenCircuitBreakers(), $0) }
    }
}
