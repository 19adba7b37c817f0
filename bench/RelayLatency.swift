import Kafka
import Postgres
import StreamCore
import Synchronization

/// 1,000 single-row transactions a second for 60 s: the time from the commit until a consumer receives the record.
enum RelayLatency {
    static let name = "relay-latency"
    static let rate = 1_000
    static let seconds = 60
    static let connections = 4

    @Sendable static func run(on servers: BenchServers) async throws -> BenchResult {
        let relay = try servers.start("outbox-relay", settings: ["relay.topic_suffix": servers.topicSuffix])
        let reader = try await RecordReader(servers)
        // The relay is warm after the first event has passed through it.
        let connection = try await PostgresConnection.connect(servers.postgres)
        _ = try await commitOne(on: connection)
        _ = try await reader.read(count: 1)
        await connection.close()

        let processorBefore = try relay.processorSeconds()
        async let arrivals = reader.read(count: rate * seconds)
        let commits = try await commitAll(servers.postgres)
        let read = try await arrivals
        let (peak, processor) = (try relay.peakResidentMiB(), try relay.processorSeconds() - processorBefore)
        await reader.close()
        try await relay.stop()

        var latencies = Latencies()
        for commit in commits {
            guard let arrival = read[commit.id] else { throw BenchError("event \(commit.id) never arrived") }
            latencies.record(arrival - commit.time)
        }
        var result = BenchResult(name: name)
        result.events = commits.count
        result.seconds = Double(seconds)
        result.eventsPerS = Double(commits.count) / Double(seconds)
        result.peakRssMib = peak
        result.cpuSPer100k = processor * 100_000 / Double(commits.count)
        result.take(latencies)
        return result
    }

    struct Commit: Sendable {
        let id: EventID
        /// The time at which the server's answer to the commit arrived.
        let time: ContinuousClock.Instant
    }

    private static let insert: Statement = """
        INSERT INTO outbox (event_id, event_type, aggregate_type, aggregate_id, sequence, version, metadata, payload)
        VALUES ($1, 'OrderCreated', 'Order', $2, 1, 2, '{"source":"bench"}',
                '{"customerId":"customer-1","currency":"EUR","items":[{"productId":"product-1","name":"Product 1",
                  "quantity":1,"unitPrice":9.99}],"shippingAddress":{"name":"N","street":"S 1","city":"Hamburg",
                  "postalCode":"20095","country":"DE"}}')
        """

    private static func commitOne(on connection: PostgresConnection) async throws -> Commit {
        let id = EventID.random()
        _ = try await connection.execute(
            insert,
            Parameters {
                $0.append(id); $0.append("order-\(id)")
            })
        return Commit(id: id, time: .now)
    }

    /// Commits the events on all connections. Each event has its own time in the schedule, so a slow commit does not
    /// delay the schedule of other events.
    private static func commitAll(_ postgres: PostgresConfiguration) async throws -> [Commit] {
        try await withThrowingTaskGroup(of: [Commit].self) { group in
            let start = ContinuousClock.now
            for offset in 0..<connections {
                group.addTask {
                    let connection = try await PostgresConnection.connect(postgres)
                    var commits: [Commit] = []
                    for index in stride(from: offset, to: rate * seconds, by: connections) {
                        try await Task.sleep(until: start + .microseconds(index * 1_000_000 / rate), tolerance: .zero)
                        commits.append(try await commitOne(on: connection))
                    }
                    await connection.close()
                    return commits
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
    }
}

extension EventID {
    static func random() -> EventID {
        EventID(high: .random(in: 0...UInt64.max), low: .random(in: 0...UInt64.max))
    }
}

/// Reads the new records of all topics, and records the arrival time of each event.
actor RecordReader {
    private let consumer: Consumer
    private var arrivals: [EventID: ContinuousClock.Instant] = [:]

    init(_ servers: BenchServers) async throws {
        consumer = try Consumer(servers.kafka, group: "bench-reader")
        try await consumer.assign(
            Dictionary(uniqueKeysWithValues: servers.allPartitions.map { ($0, StartOffset.beginning) }))
    }

    /// Reads `count` more events.
    ///
    /// - Returns: the arrival times of all events that were read so far.
    func read(count: Int) async throws -> [EventID: ContinuousClock.Instant] {
        let goal = arrivals.count + count
        var lastArrival = ContinuousClock.now
        while arrivals.count < goal {
            let event = try await consumer.poll(BatchLimits(maxWaitMs: 1_000))
            let now = ContinuousClock.now
            if case .batch(let batch) = event {
                lastArrival = now
                for record in batch { try note(record, at: now) }
            } else if now - lastArrival > .seconds(60) {
                throw BenchError("no record for 60 s: \(event)")
            }
        }
        return arrivals
    }

    private func note(_ record: RecordView, at now: ContinuousClock.Instant) throws {
        guard let text = record.header(named: "event-id")?.value, let id = EventID(utf8: text.span) else {
            throw BenchError("a record without an event id")
        }
        if arrivals[id] == nil { arrivals[id] = now }
    }

    func close() async {
        await consumer.close(timeoutMs: 5_000)
    }
}
