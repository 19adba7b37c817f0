package import ArgumentParser
internal import CommandSupport
internal import Postgres
internal import Projections

/// `millrace projection`: manages running projections, and helps authors of SQL projections.
package struct ProjectionCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "projection", abstract: "Manages projections, and tests folders of SQL files.",
        subcommands: [
            NewFolder.self, TestFolder.self, CheckFolder.self, ExplainFolder.self, AdoptFolder.self,
            VerifyFolder.self, ShowFolder.self, InlineFolder.self, BreakersCommand.self,
        ])

    package init() {}
}

/// `millrace projection breakers`: the circuit breakers of partitions.
struct BreakersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "breakers",
        abstract: "Lists open circuit breakers, and releases them.",
        discussion: """
            The circuit breaker of a partition opens after many consecutive failures, or many failures of one event \
            type. The partition then creates no more dead letters and tries one event at a time until one can be \
            applied. It closes automatically when a corrected release runs. Release it if the events are bad and the \
            release is good: the events then become dead letters, up to the limit. See docs/dead-letters.md.

            \(exitCodes)
            """,
        subcommands: [ListBreakers.self, ReleaseBreakers.self])

    static let exitCodes = """
        Exit codes: 0 done, or shown by the dry run · 1 no open circuit breaker matched · 64 wrong usage · 69 the \
        database is unreachable or refuses · 70 internal error · 78 the configuration or the database schema is wrong.
        """
}

/// Selects circuit breakers.
struct BreakerFilterOptions: ParsableArguments {
    @Option(help: "Circuit breakers of this projection, such as order-summary.")
    var projection: String?

    @Option(help: "Circuit breakers of this version of the projection.")
    var version: Int?

    @Option(help: "Circuit breakers of this topic.")
    var topic: String?

    @Option(help: "Circuit breakers of this partition; requires --topic.")
    var partition: Int32?

    @Option(name: .customLong("class"), help: "Circuit breakers opened by this error class, such as missing_field.")
    var errorClass: String?

    @Option(name: .customLong("type"), help: "Circuit breakers opened by this event type, such as ItemAdded.")
    var eventType: String?

    func validate() throws {
        if partition != nil && topic == nil { throw ValidationError("--partition requires --topic.") }
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
