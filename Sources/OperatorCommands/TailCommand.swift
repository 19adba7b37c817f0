internal import ArgumentParser
internal import Catalog
internal import CommandSupport
internal import Foundation
internal import Kafka
internal import Outbox
internal import StreamCore
internal import Synchronization
internal import Tail

/// `millrace tail`: shows records of topics.
struct TailCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail",
        abstract: "Shows records of topics: the last records, those of a time or an order, and new records.",
        discussion: """
            Shows the last 10 records, or with --from, --since or a filter all matching records. It stops at the end \
            of the topics; with -f it continues with new records. It joins no consumer group and commits no offsets. \
            Standard output contains only data.

            Records of one partition appear in their order. -n sorts the records of several partitions by time. A \
            record must match all conditions. If --key, --type, --order or --aggregate is repeated, one of its values \
            must match.

            Examples:
              millrace tail -f
              millrace tail '*-events' --since 15m --type OrderCancelled
              millrace tail --order ord-17
              millrace tail \(topic) --where payload.currency==EUR -o jsonl | jq .value.payload
              millrace tail \(topic) --from 0 -o '%p/%o %k %S\\n'

            Exit codes: 0 done, stopped, or the reader of the output has closed it · 64 wrong usage · 69 Kafka is \
            unreachable, or has no such topic · 74 the output cannot be written · 78 the configuration is wrong.
            """)

    /// A topic for the examples.
    private static let topic = Catalog.eventTopics.first ?? "TOPIC"

    /// Patterns of the topics of events, by the relay's default names in both layouts.
    static let anyEvents = [
        "*" + OutboxRelayConfiguration().topicSuffix,
        DebeziumLayout().topic.replacing("${routedByValue}", with: "*"),
    ]

    @Argument(
        help: ArgumentHelp(
            "Topics, or patterns in quotes such as 'order-*' (default: \(anyEvents.joined(separator: ", "))).",
            valueName: "topic"))
    var topics: [String] = []

    @OptionGroup var kafka: KafkaOptions
    @OptionGroup var range: TailRangeOptions
    @OptionGroup var filters: TailFilterOptions
    @OptionGroup var form: TailFormOptions

    func run() async throws {
        let now = Timestamp.now
        var request = TailRequest(topics: (topics.isEmpty ? Self.anyEvents : topics).map { TopicPattern($0) })
        request.needsEachTopic = !topics.isEmpty
        request.filter = try filters.filter()
        try range.apply(to: &request, now: now)
        let settings = try form.settings()
        let configuration = try kafka.configuration(clientID: "millrace-tail")
        let stop = AtomicFlag()
        let trouble = RareNotice()
        let output = DataOutput(descriptor: 1) { stop.isSet }
        let reader = try TailReader(
            configuration, request, to: output, isStopping: { stop.isSet }, onTrouble: { trouble.say("\($0)") })
        do {
            try await StopSignals.run(onStop: { stop.set() }) { try await reader.run(settings) }
        } catch let error as TailError {
            throw CommandFailure(error.description, .unavailable)
        } catch let error as DataOutputError {
            throw CommandFailure(error.description, .inputOutput)
        }
    }
}

/// Selects a part of the topics.
struct TailRangeOptions: ParsableArguments {
    @Flag(name: [.customShort("f"), .long], help: "Continue with new records until Ctrl-C.")
    var follow = false

    @Option(
        name: [.customShort("n"), .customLong("last")], help: "Show this number of last records, over all partitions.")
    var last: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            """
            Start position: beginning, end, an offset, -N (N records before the end), +N (N records after the \
            beginning), a time such as 2026-03-01T12:00:00Z, 15m (15 minutes ago), or @ with milliseconds since 1970.
            """, valueName: "place"))
    var from: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("End position, exclusive, in the same forms.", valueName: "place"))
    var to: String?

    @Option(help: ArgumentHelp("Start this long ago: 90s, 15m, 2h, 7d.", valueName: "time"))
    var since: String?

    @Option(
        name: [.customShort("p"), .customLong("partition")],
        help: ArgumentHelp("Only these partitions: 0,2-4.", valueName: "numbers"))
    var partitions: String?

    @Option(name: [.customShort("c"), .long], help: "Stop after this number of records.")
    var count: Int?

    func validate() throws {
        if from != nil && since != nil { throw ValidationError("Give --from or --since, not both.") }
        guard last ?? 1 >= 1, last ?? 1 <= 1_000_000 else { throw ValidationError("-n must be 1 to 1000000.") }
        guard count ?? 1 >= 1 else { throw ValidationError("-c must be at least 1.") }
        var request = TailRequest(topics: [])
        try apply(to: &request, now: Timestamp.now)
    }

    /// Without a start, the last 10 records are shown. With a filter, all matching records are shown.
    func apply(to request: inout TailRequest, now: Timestamp) throws {
        do {
            if let from { request.from = try TailPoint(parsing: from, now: now) }
            if let to { request.to = try TailPoint(parsing: to, now: now) }
            if let since {
                let point = try TailPoint(parsing: since, now: now)
                guard case .time = point else { throw ValidationError("--since must be a time such as 15m.") }
                request.from = point
            }
        } catch let error as TailSyntaxError {
            throw ValidationError(error.description)
        }
        request.last = last
        let begins = from != nil || since != nil || to != nil
        if last == nil, !begins, request.filter.conditions.isEmpty { request.last = 10 }
        request.limit = count
        request.follows = follow
        if let partitions { request.partitions = try Self.numbers(partitions) }
    }

    static func numbers(_ text: String) throws -> Set<Int32> {
        var numbers: Set<Int32> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int32($0) }
            guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first >= 0,
                last >= first, last - first < 100_000
            else { throw ValidationError("-p takes partitions such as 0,2-4, not \"\(text)\".") }
            numbers.formUnion(first...last)
        }
        return numbers
    }
}

/// Selects records.
struct TailFilterOptions: ParsableArguments {
    @Option(help: "Records with exactly this key.")
    var key: [String] = []

    @Option(help: "Records whose value contains this text.")
    var grep: [String] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Records with this header: name=value, name!=value, or name.", valueName: "condition"))
    var header: [String] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            """
            Records with this in their JSON: path==value, path!=value, path (exists), !path. A path is \
            payload.items[0].sku.
            """, valueName: "condition"))
    var `where`: [String] = []

    @Option(help: ArgumentHelp("Events of this order, and of its payments and shipments.", valueName: "id"))
    var order: [String] = []

    @Option(help: ArgumentHelp("Events of this aggregate.", valueName: "id"))
    var aggregate: [String] = []

    @Option(help: ArgumentHelp("Events of this type, such as OrderCreated.", valueName: "event type"))
    var type: [String] = []

    func validate() throws { _ = try filter() }

    func filter() throws -> RecordFilter {
        var conditions: [RecordCondition] = []
        // The cheapest conditions come first.
        if !key.isEmpty { conditions.append(.any(key.map { .key(Array($0.utf8)) })) }
        do {
            conditions += try header.map { try RecordCondition.header(parsing: $0) }
            if !type.isEmpty { conditions.append(.type(type.map { Array($0.utf8) })) }
            conditions += grep.map { .contains(Array($0.utf8)) }
            conditions += try `where`.map { .json(try JSONCondition(parsing: $0)) }
        } catch let error as TailSyntaxError {
            throw ValidationError(error.description)
        }
        let aggregates =
            aggregate.map { RecordCondition.aggregate($0) }
            + order.map { RecordCondition.aggregate($0, orReferredToBy: "orderId") }
        if !aggregates.isEmpty { conditions.append(.any(aggregates)) }
        return RecordFilter(conditions)
    }
}

/// The output format of records.
struct TailFormOptions: ParsableArguments {
    @Option(
        name: [.customShort("o"), .long],
        help: ArgumentHelp(
            """
            pretty, json (one array), jsonl (an object a line), raw (values), or a format: %t topic, %p partition, %o \
            offset, %T timestamp, %k key, %K its length, %s value, %S its length (-1: null), %R the same in 4 bytes, %h \
            headers, %% a percent sign; \\n \\r \\t \\0 \\\\ \\xNN.
            """, valueName: "form"))
    var output = "pretty"

    @Flag(help: "Show the sizes of values instead of the values.")
    var metaOnly = false

    @Option(help: "Encoding of bytes that are not text: base64 or hex.")
    var bytes = Bytes.base64

    @Option(help: "Colours in pretty: auto (on a terminal, unless NO_COLOR is set), always or never.")
    var color = Colour.auto

    @Flag(help: "Do not cut the lines of pretty at the terminal's width.")
    var wide = false

    enum Bytes: String, ExpressibleByArgument, CaseIterable {
        case base64, hex
    }

    enum Colour: String, ExpressibleByArgument, CaseIterable {
        case auto, always, never
    }

    func validate() throws { _ = try settings() }

    func settings() throws -> PrinterSettings {
        var settings = PrinterSettings()
        do {
            settings.output = try RecordOutput(parsing: output)
        } catch {
            throw ValidationError(error.description)
        }
        if metaOnly, case .format = settings.output {
            throw ValidationError("--meta-only requires pretty, json or jsonl.")
        }
        settings.isTerminal = StandardOutput.isTerminal
        settings.isColoured = Self.isColoured(
            color, isTerminal: settings.isTerminal, environment: ProcessInfo.processInfo.environment)
        settings.columns = wide ? nil : StandardOutput.columns
        settings.isMetaOnly = metaOnly
        settings.notation = bytes == .hex ? .hex : .base64
        return settings
    }

    /// NO_COLOR counts if it is not empty, as https://no-color.org requires.
    static func isColoured(_ choice: Colour, isTerminal: Bool, environment: [String: String]) -> Bool {
        switch choice {
        case .always: true
        case .never: false
        case .auto: isTerminal && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
        }
    }
}

/// A flag that one task sets and others read.
final class AtomicFlag: Sendable {
    private let flag = Atomic(false)

    var isSet: Bool { flag.load(ordering: .acquiring) }

    func set() { flag.store(true, ordering: .releasing) }
}
