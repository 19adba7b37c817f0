internal import ArgumentParser
internal import Kafka
internal import StreamCore
internal import Synchronization

/// `millrace tail`: prints a topic's records as they come.
struct TailCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail",
        abstract: "Prints a topic's records: partition, offset, time, key, headers, value.",
        discussion: """
            Joins no consumer group and commits nothing. Bytes that are no UTF-8 text or would move the cursor are \
            shown as \\xNN in text, and as base64 in JSON. Order holds within a partition only. A partition that is \
            added meanwhile is found within some seconds, and read from its beginning.
            """)

    enum Start: String, ExpressibleByArgument, CaseIterable {
        case beginning
        case end
    }

    enum Output: String, ExpressibleByArgument, CaseIterable {
        case text
        case json
    }

    @Argument(help: "The topic's name.")
    var topic: String

    @OptionGroup var kafka: KafkaOptions

    @Option(help: "Where to start: beginning or end.")
    var from = Start.end

    @Option(help: "Ends after so many records (default: follows until Ctrl-C).")
    var limit: Int?

    @Option(name: .shortAndLong, help: "text, or json: one object a line.")
    var output = Output.text

    func validate() throws {
        guard limit ?? 1 >= 1 else { throw ValidationError("--limit is at least 1.") }
    }

    func run() async throws {
        let configuration = try kafka.configuration(clientID: "millrace-tail")
        let admin = try KafkaAdmin(configuration, timeoutMs: 5_000)
        guard let partitions = try await admin.partitions(of: [topic])[topic], !partitions.isEmpty else {
            let known = try await admin.partitions().keys.sorted().joined(separator: ", ")
            throw CommandFailure("there is no topic \(topic). Topics: \(known)", .unavailable)
        }
        let consumer = try Consumer(configuration, group: "millrace-tail-\(UInt32.random(in: 0 ... .max))")
        let start: StartOffset = from == .beginning ? .beginning : .end
        try await consumer.assign(Dictionary(uniqueKeysWithValues: partitions.map { ($0, start) }))
        let isStopping = AtomicFlag()
        try await StopSignals.run(onStop: {
            isStopping.set(); consumer.wake()
        }) {
            var search = PartitionSearch(topic: topic, known: Set(partitions), admin: admin)
            try await follow(consumer, &search, until: isStopping)
        }
        _ = await consumer.close(timeoutMs: 5_000)
    }

    private func follow(
        _ consumer: Consumer, _ search: inout PartitionSearch, until isStopping: AtomicFlag
    ) async throws {
        let trouble = RareNotice()
        var remaining = limit ?? .max
        while remaining > 0, !isStopping.isSet {
            let added = await search.added(now: .now)
            if !added.isEmpty {
                try await consumer.assign(Dictionary(uniqueKeysWithValues: added.map { ($0, .beginning) }))
            }
            switch try await consumer.poll(BatchLimits(maxRecords: min(remaining, 1_000), maxWaitMs: 500)) {
            case .batch(let batch):
                for record in batch.prefix(remaining) {
                    let line = RecordLine(record)
                    print(output == .text ? line.text : line.json)
                }
                remaining -= batch.count
                StandardOutput.flush()
            case .error(let error):
                guard error.isRetriable else { throw error }
                trouble.say("\(error)")
            case .assigned, .revoked, .lost, .ends, .idle:
                break
            }
        }
    }
}

/// Looks now and then for partitions that were added to a topic.
private struct PartitionSearch {
    let topic: String
    var known: Set<TopicPartition>
    let admin: KafkaAdmin
    private var lastLook = ContinuousClock.now

    private static let interval = Duration.seconds(5)

    init(topic: String, known: Set<TopicPartition>, admin: KafkaAdmin) {
        self.topic = topic
        self.known = known
        self.admin = admin
    }

    /// Those that are new since the last call; none while the brokers are away, or it is too early to ask again.
    mutating func added(now: ContinuousClock.Instant) async -> [TopicPartition] {
        guard now - lastLook >= Self.interval else { return [] }
        lastLook = now
        guard let found = try? await admin.partitions(of: [topic])[topic] else { return [] }
        let added = found.filter { !known.contains($0) }
        known.formUnion(added)
        return added
    }
}

/// A flag that one task sets and others look at.
final class AtomicFlag: Sendable {
    private let flag = Atomic(false)

    var isSet: Bool { flag.load(ordering: .acquiring) }

    func set() { flag.store(true, ordering: .releasing) }
}
