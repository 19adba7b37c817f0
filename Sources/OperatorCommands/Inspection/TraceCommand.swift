internal import ArgumentParser
internal import CommandSupport
internal import Inspection
internal import Postgres
internal import StreamCore
internal import Tail

/// `millrace trace`: shows the path of an aggregate's events.
struct TraceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "Shows the path of an aggregate in the order of time: outbox, topics, projections, dead letters.",
        discussion: """
            Reads the topics of events, from their beginning or from --since, and shows each step of the aggregate's \
            events and its duration. Without --topic these are the topics that the projections of the database read, \
            or, before they have read any, \(TailCommand.anyEvents.joined(separator: " and ")).

            A projection stores the time only for the last record of a partition. The time of \
            other applied records is unknown.

            Exit codes: 0 shown · 1 the aggregate is unknown · 64 wrong usage · 69 a server is unreachable or refuses \
            · 78 the configuration is wrong.
            """)

    enum Output: String, ExpressibleByArgument, CaseIterable {
        case table, json
    }

    @Argument(help: "The aggregate's id.")
    var aggregate: String

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var kafka: KafkaOptions
    @OptionGroup var outbox: OutboxNameOptions

    @Flag(help: "Also the payments and shipments of the order with this id.")
    var order = false

    @Option(help: ArgumentHelp("Begin this long ago: 90s, 15m, 2h, 7d (default: read everything).", valueName: "time"))
    var since: String?

    @Option(
        name: .customLong("topic"),
        help: ArgumentHelp(
            "A topic, or a pattern; may be repeated (default: what projections read).", valueName: "topic"))
    var topics: [String] = []

    @Option(name: .shortAndLong, help: "table or json.")
    var output = Output.table

    func validate() throws { _ = try start(now: .now) }

    private func start(now: Timestamp) throws -> TailPoint {
        guard let since else { return .beginning }
        guard let point = try? TailPoint(parsing: since, now: now), case .time = point else {
            throw ValidationError("--since must be a time such as 15m, not \"\(since)\".")
        }
        return point
    }

    func run() async throws {
        let start = try start(now: .now)
        let kafka = try kafka.configuration(clientID: "millrace-trace")
        let connection = try await PostgresConnection.connect(
            database.configuration(applicationName: "millrace-trace", access: .any))
        let trace = AggregateTrace(
            of: aggregate, orReferredToBy: order ? "orderId" : nil, outbox: outbox.table,
            failedOutbox: outbox.failedTable, on: connection)
        let stop = AtomicFlag()
        var topics = topics
        if topics.isEmpty { topics = try await trace.topics() }
        let isKnown = !topics.isEmpty
        let wanted = isKnown ? topics : TailCommand.anyEvents
        let timeline: TraceTimeline
        do {
            timeline = try await StopSignals.run(onStop: { stop.set() }) {
                try await trace.read(
                    kafka, topics: wanted, needsEachTopic: isKnown, from: start, isStopping: { stop.isSet })
            }
        } catch let error as TailError {
            throw CommandFailure(error.description, .unavailable)
        }
        await connection.close()
        switch output {
        case .table: if !timeline.isEmpty { print(Self.table(timeline.entries)) }
        case .json: print(JSONText.page(timeline.entries.map(\.step)))
        }
        if timeline.isEmpty {
            throw CommandFailure("no events of aggregate \(aggregate) were found", .failure)
        }
    }

    static func table(_ entries: [TraceTimeline.Entry]) -> String {
        var table = TextTable(["TIME", "AFTER", "WHERE", "WHAT"])
        for entry in entries {
            let time = entry.step.at.map { String($0.description.dropLast(4)).replacing("T", with: " ") } ?? ""
            table.add([
                time, entry.after.map(elapsed) ?? "", TextFormat.text(entry.step.place),
                TextFormat.text(entry.step.text),
            ])
        }
        return table.text
    }

    /// `+12ms`, `+3.2s`, `+5m 10s`.
    static func elapsed(_ microseconds: Int64) -> String {
        let sign = microseconds < 0 ? "-" : "+"
        let size = Int64(clamping: microseconds.magnitude)
        switch size {
        case ..<1_000_000: return "\(sign)\(size / 1_000)ms"
        case ..<60_000_000: return "\(sign)\(size / 1_000_000).\(size / 100_000 % 10)s"
        default:
            return sign
                + TextFormat.age(of: Timestamp(microseconds: 0), now: Timestamp(microseconds: size))
        }
    }
}
