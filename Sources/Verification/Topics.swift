internal import Events
internal import Kafka
internal import Letters
internal import Orders
internal import StreamCore

/// The topics of events, and the projections' retry topics.
struct Topics: Sendable {
    private let admin: KafkaAdmin
    /// Counts the records of open transactions too, which consumers cannot read yet.
    private let uncommitted: KafkaAdmin
    private let reader: RangeReader
    private let partitions: [TopicPartition]
    private let names: Set<String>

    init(_ kafka: KafkaClientConfiguration, _ configuration: VerificationConfiguration) async throws {
        admin = try KafkaAdmin(kafka)
        uncommitted = try KafkaAdmin(kafka, countsOpenTransactions: true)
        reader = RangeReader(kafka, silenceTimeoutMs: configuration.silenceTimeoutMs)
        let topics = AggregateType.topics(suffix: configuration.topicSuffix)
        let found = try await admin.partitions(of: topics)
        names = Set(topics)
        partitions = found.values.flatMap(\.self)
        let absent = topics.filter { found[$0]?.isEmpty ?? true }
        guard absent.isEmpty else { throw VerificationError.noTopics(absent) }
    }

    func watermarks() async throws -> [TopicPartition: Watermarks] { try await admin.watermarks(of: partitions) }

    /// The watermarks of the partitions, and the ranges of records that cannot be read because a transaction is open.
    func ends() async throws -> (watermarks: [TopicPartition: Watermarks], hidden: [TopicPartition: Range<Int64>]) {
        // This order matters: a record that arrives between the two calls must not look hidden.
        let all = try await uncommitted.endOffsets(of: partitions)
        let watermarks = try await watermarks()
        var hidden: [TopicPartition: Range<Int64>] = [:]
        for (partition, end) in all {
            if let readable = watermarks[partition]?.high, readable < end { hidden[partition] = readable..<end }
        }
        return (watermarks, hidden)
    }

    /// Reads the ranges and calls `body` for each record, with the event (nil if it is not an event of this domain)
    /// and, if the record cannot be decoded, its key.
    func replay(
        _ ranges: [TopicPartition: Range<Int64>],
        _ body: (Result<OrderEvent?, EventDecodeError>, RecordOrigin, String?) -> Void
    ) async throws {
        try await reading {
            try await reader.read(ranges) { record in
                let origin = RecordOrigin(partition: record.topicPartition, offset: record.offset)
                let decoded = Self.decode(record)
                if case .failure = decoded {
                    body(decoded, origin, Self.key(of: record))
                } else {
                    body(decoded, origin, nil)
                }
            }
        }
    }

    private static func key(of record: RecordView) -> String? {
        guard let key = record.key else { return nil }
        return String(decoding: (0..<key.count).map { key[$0] }, as: UTF8.self)
    }

    private static func decode(_ record: borrowing RecordView) -> Result<OrderEvent?, EventDecodeError> {
        guard let value = record.value else { return .success(nil) }
        do throws(EventDecodeError) {
            guard case .event(let event) = try OrderEventDecoder.decode(value) else { return .success(nil) }
            return .success(event)
        } catch {
            return .failure(error)
        }
    }

    // MARK: what came of parked events

    /// Reads each projection's retry topic up to the projection's own offset, and collects the events that were applied
    /// after they had been parked, with their final values. If there are several requests for an event, the last one
    /// counts.
    func readRetries(_ snapshot: inout ReadSnapshot) async throws {
        let retried = try await retries(of: snapshot.summary)
        snapshot.summary.retried.merge(retried) { _, sent in sent }
        if let dashboard = snapshot.dashboard {
            let retried = try await retries(of: dashboard)
            snapshot.dashboard?.retried.merge(retried) { _, sent in sent }
        }
    }

    private func retries(of cut: ProjectionCut) async throws -> [RecordOrigin: OrderEvent] {
        let passed = cut.nextOffsets.filter { !names.contains($0.key.topic) && $0.value > 0 }
        if passed.isEmpty { return [:] }
        let watermarks = try await admin.watermarks(of: Array(passed.keys))
        var ranges: [TopicPartition: Range<Int64>] = [:]
        for (partition, next) in passed {
            let low = watermarks[partition]?.low ?? 0
            if low < next { ranges[partition] = low..<next }
        }
        var retried: [RecordOrigin: OrderEvent] = [:]
        let wanted = ranges
        try await reading {
            try await reader.read(wanted) { record in
                // An event that is still parked, or was discarded, has a row.
                guard let (origin, event) = Self.retry(record, of: cut.consumerGroup), !cut.parked.contains(origin)
                else { return }
                retried[origin] = event
            }
        }
        return retried
    }

    /// Reads a request to apply a parked event (docs/dead-letters.md).
    ///
    /// - Returns: nil for a request of another consumer group, a request to discard, or a request without a value,
    ///   because then the event was applied with its original value.
    private static func retry(_ record: RecordView, of group: String?) -> (RecordOrigin, OrderEvent)? {
        guard let request = RetryRequest(record), request.action == .apply, !request.isValueKept,
            request.group.map({ $0 == group }) ?? true,
            case .success(let event?) = decode(record)
        else { return nil }
        return (
            RecordOrigin(partition: request.origin.partition, offset: request.origin.offset), event
        )
    }

    private func reading(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch RangeReader.Trouble.silent(let partition, let milliseconds) {
            throw VerificationError.kafkaIsSilent(partition: "\(partition)", milliseconds: milliseconds)
        }
    }
}
