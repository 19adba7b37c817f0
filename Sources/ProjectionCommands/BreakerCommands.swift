internal import ArgumentParser
internal import CommandSupport
internal import Projections
internal import StreamCore

/// `millrace projection breakers list`.
struct ListBreakers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Shows open circuit breakers: one line for each error class and event type.",
        discussion: BreakersCommand.exitCodes)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var filter: BreakerFilterOptions

    @Option(name: .shortAndLong, help: "table, json, or jsonl: one object a line.")
    var output = OutputFormat.table

    func run() async throws {
        let open = try await database.withBreakers { try await $0.list(filter.filter, on: $1) }
        let report = BreakerReport(open)
        switch output {
        case .table: print(open.isEmpty ? "no circuit breaker is open" : report.table(now: .now))
        case .json: print(JSONText.page(report.objects))
        case .jsonl: for object in report.objects { print(JSONText.line(object)) }
        }
        if open.isEmpty { throw ExitCode.nothingMatched }
    }
}

/// `millrace projection breakers release`.
struct ReleaseBreakers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release",
        abstract: "Closes open circuit breakers. Bad events become dead letters again, up to the limit.",
        discussion: """
            The projection reads the release at the partition's next trial, within 30 seconds. The table \
            circuit_breaker_releases records the operator and the reason.

            \(BreakersCommand.exitCodes)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var filter: BreakerFilterOptions

    @Flag(help: "All circuit breakers. Required if nothing else selects them.")
    var all = false

    @OptionGroup var audit: AuditOptions

    @Option(name: .shortAndLong, help: "table, json or jsonl.")
    var output = OutputFormat.table

    func validate() throws {
        try SelectionRule(
            noun: "circuit breakers", ways: [("a filter such as --projection", !filter.isEmpty)], all: all
        ).validate()
    }

    func run() async throws {
        try await BreakerRelease(database: database, filter: filter).run(audit, output)
    }
}

/// Releases circuit breakers.
struct BreakerRelease: OperatorChange {
    let database: DatabaseOptions
    let filter: BreakerFilterOptions

    func outcome(by audit: Audit?) async throws -> ReleasedBreakers {
        let breakers = try await database.withBreakers { breakers, connection in
            if let audit { return try await breakers.release(filter.filter, by: audit, on: connection) }
            return try await breakers.list(filter.filter, on: connection)
        }
        return ReleasedBreakers(breakers, isDone: audit != nil, now: .now)
    }
}

/// The report about released circuit breakers.
struct ReleasedBreakers: OperatorReport {
    private let breakers: [OpenCircuitBreakers.Entry]
    let isDone: Bool
    private let now: Timestamp

    init(_ breakers: [OpenCircuitBreakers.Entry], isDone: Bool, now: Timestamp) {
        self.breakers = breakers
        self.isDone = isDone
        self.now = now
    }

    var isEmpty: Bool { breakers.isEmpty }

    var lines: [String] {
        guard !isEmpty else { return ["nothing matched"] }
        let partitions = Set(breakers.map { "\($0.projection) \($0.version) \($0.partition)" }).count
        return [
            "\(isDone ? "released" : "would release") \(partitions) partition\(partitions == 1 ? "" : "s")",
            BreakerReport(breakers).table(now: now),
        ]
    }

    var json: String { JSONText.page(BreakerReport(breakers).objects) }
    var jsonLines: String { BreakerReport(breakers).objects.map(JSONText.line).joined(separator: "\n") }
}

/// Formats circuit breakers.
struct BreakerReport {
    private let breakers: [OpenCircuitBreakers.Entry]

    init(_ breakers: [OpenCircuitBreakers.Entry]) {
        self.breakers = breakers
    }

    struct Object: Encodable {
        let projection: String
        let version: Int
        let topic: String
        let partition: Int32
        let errorClass: String?
        let eventType: String?
        let failures: Int
        let openedAt: String
    }

    /// The breakers as JSON objects. An entry without class and type was opened by consecutive failures of any kind.
    var objects: [Object] {
        breakers.map {
            Object(
                projection: $0.projection, version: $0.version, topic: $0.partition.topic,
                partition: $0.partition.partition, errorClass: $0.errorClass.isEmpty ? nil : $0.errorClass,
                eventType: $0.eventType.isEmpty ? nil : $0.eventType, failures: $0.failures,
                openedAt: $0.openedAt.description)
        }
    }

    func table(now: Timestamp) -> String {
        var table = TextTable(["PROJECTION", "PARTITION", "CLASS", "TYPE", "FAILURES", "OPEN FOR"])
        for breaker in breakers {
            table.add([
                "\(TextFormat.text(breaker.projection)) v\(breaker.version)",
                TextFormat.text(breaker.partition.description),
                breaker.errorClass.isEmpty ? "any" : TextFormat.text(breaker.errorClass),
                breaker.eventType.isEmpty ? "any" : TextFormat.text(breaker.eventType),
                TextFormat.count(Int64(breaker.failures)), TextFormat.age(of: breaker.openedAt, now: now),
            ])
        }
        return table.text
    }
}
