internal import ArgumentParser
internal import Catalog
internal import CommandSupport
internal import Inspection
internal import Kafka
internal import Postgres
internal import StreamCore

/// `millrace lag`: shows the lag of consumers.
struct LagCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lag",
        abstract: "Shows the lag of consumers in records and in time, and their state.",
        discussion: """
            The offsets of projections come from PostgreSQL, those of other consumer groups (--group) from Kafka. As in \
            Burrow, the state follows from the changes of offsets and lag: ok, warn (the lag has grown for 20 s), \
            stall (there are unread records, but no progress for 20 s), stop (the same, and the program is not \
            connected). The command reads twice, \(defaultInterval) apart, or repeatedly with --watch. The state warn \
            and the states of groups need --watch. --fail-above counts what is above the limit in both readings.

            Exit codes: 0 shown · 1 a lag is above --fail-above, or unread records were removed · 64 wrong usage · \
            69 a server is unreachable or refuses · 78 the configuration or the database schema is wrong.
            """)

    private static let defaultInterval = "1s"

    enum Output: String, ExpressibleByArgument, CaseIterable {
        case table, json
    }

    /// A number of records, or a time if there is a unit.
    enum Limit: ExpressibleByArgument {
        case records(Int64)
        case seconds(Double)

        init?(argument: String) {
            if let records = Int64(argument), records >= 0 {
                self = .records(records)
            } else if let duration = DurationArgument(argument: argument)?.duration, argument.last?.isLetter == true {
                self = .seconds(duration / .seconds(1))
            } else {
                return nil
            }
        }
    }

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var kafka: KafkaOptions

    @Option(help: ArgumentHelp("Also show this consumer group, whose offsets are in Kafka.", valueName: "name"))
    var group: [String] = []

    @Option(help: ArgumentHelp("Show only this projection or group.", valueName: "name"))
    var consumer: String?

    @Flag(help: "Repeat the report until Ctrl-C.")
    var watch = false

    @Option(help: "Interval between two readings.")
    var interval = DurationArgument(.seconds(1))

    @Option(
        help: ArgumentHelp(
            "Exit with 1 if a partition has a larger lag in both readings: records, or a time such as 30s.",
            valueName: "limit"))
    var failAbove: Limit?

    @Option(
        help: ArgumentHelp(
            "Warn if retention removes unread records within this time, at the current rate.", valueName: "time"))
    var warnRemoval = DurationArgument(.seconds(86_400))

    @Option(name: .shortAndLong, help: "table, or json: one object for each reading.")
    var output = Output.table

    func validate() throws {
        guard interval.duration >= .milliseconds(100) else {
            throw ValidationError("--interval must be at least 100ms.")
        }
        if watch && failAbove != nil { throw ValidationError("--fail-above cannot be combined with --watch.") }
    }

    func run() async throws {
        let kafka = try kafka.configuration(clientID: "millrace-lag")
        let connection = try await PostgresConnection.connect(
            database.configuration(applicationName: "millrace-lag", access: .any))
        let reader = try LagReader(
            connection, kafka, groups: group, programs: Catalog.programs, sqlProgram: Catalog.sqlProjections)
        let stop = AtomicFlag()
        var tracker = LagTracker()
        var reports: [LagReport] = []
        try await StopSignals.run(onStop: { stop.set() }) {
            while !stop.isSet {
                reports = reports.suffix(1) + [Self.only(consumer, tracker.report(try await reader.read()))]
                if watch || reports.count == 2, let report = reports.last { show(report) }
                if !watch && reports.count == 2 { return }
                try await Self.pause(interval.duration, unless: stop)
            }
        }
        await connection.close()
        if let problem = Self.problem(reports, failAbove, of: [consumer].compactMap(\.self) + group), !watch {
            throw CommandFailure(problem, .failure)
        }
    }

    private static func only(_ consumer: String?, _ report: LagReport) -> LagReport {
        guard let consumer else { return report }
        return LagReport(rows: report.rows.filter { $0.consumer == consumer })
    }

    private static func pause(_ time: Duration, unless stop: AtomicFlag) async throws {
        let deadline = ContinuousClock.now + time
        while ContinuousClock.now < deadline, !stop.isSet {
            try await Task.sleep(for: min(.milliseconds(50), deadline - .now))
        }
    }

    private func show(_ report: LagReport) {
        switch output {
        case .json: print(JSONText.line(LagView(report)))
        case .table:
            if watch, StandardOutput.isTerminal { print("\u{1B}[H\u{1B}[2J", terminator: "") }
            print(LagView(report).table(warnRemovalSeconds: warnRemoval.duration / .seconds(1)))
        }
        StandardOutput.flush()
    }

    /// The first problem; nil if there is none. A burst between two batches exceeds many limits for a moment, so a
    /// partition must exceed the limit in all readings.
    ///
    /// - Parameters:
    ///   - reports: the readings in order.
    ///   - limit: nil for any lag.
    ///   - named: the consumers that must exist.
    static func problem(_ reports: [LagReport], _ limit: Limit?, of named: [String] = []) -> String? {
        guard let last = reports.last else { return nil }
        let removed = last.rows.reduce(0) { $0 + $1.removedUnread }
        if removed > 0 { return "\(TextFormat.count(removed)) offsets were removed before they were read" }
        guard let limit else { return nil }
        if let unknown = named.first(where: { name in !last.rows.contains { $0.consumer == name } }) {
            return "\(TextFormat.text(unknown)) has no offset"
        }
        let above = reports.map { report in Set(report.rows.filter { $0.isAbove(limit) }.map(\.place)) }
        let row = last.rows.first { row in above.allSatisfy { $0.contains(row.place) } }
        return row.map { "\($0.consumer) is behind in \($0.partition)" }
    }
}

extension LagReport.Row {
    fileprivate struct Place: Hashable {
        let consumer: String
        let version: Int?
        let partition: TopicPartition
    }

    fileprivate var place: Place { Place(consumer: consumer, version: version, partition: partition) }

    /// An unknown lag exceeds every limit.
    fileprivate func isAbove(_ limit: LagCommand.Limit) -> Bool {
        switch limit {
        case .records(let most): lag ?? .max > most
        case .seconds(let most): secondsBehind ?? .infinity > most
        }
    }
}
