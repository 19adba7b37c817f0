internal import Events
internal import Kafka
internal import Letters
internal import Orders
internal import StreamCore

/// The events' topics, and the projections' retry topics.
struct Topics: Sendable {
    private let admin: KafkaAdmin
    /// Sees the records behind an open transaction, which consumers cannot read yet.
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

    /// Where the partitions end, and which of their records cannot be read as a transaction is open.
    func ends() async throws -> (watermarks: [TopicPartition: Watermarks], hidden: [TopicPartition: Range<Int64>]) {
        // In this order: what arrives in between makes no record look hidden.
        let all = try await uncommitted.endOffsets(of: partitions)
        let watermarks = try await watermarks()
        var hidden: [TopicPartition: Range<Int64>] = [:]
        for (partition, end) in all {
            if let readable = watermarks[partition]?.high, readable < end { hidden[partition] = readable..<end }
        }
        return (watermarks, hidden)
    }

    /// Reads the ranges and hands out each record as an event, nil for those that are none of ours; and the key of
    /// those that should be events and are not.
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

    /// Reads from each projection's retry topic, up to the projection's own offset, which events were applied after
    /// they had been parked, and as what. Of several requests for an event the last one counts.
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
                // One that is parked still, or was discarded, keeps its row.
                guard let (origin, event) = Self.retry(record, of: cut.consumerGroup), !cut.parked.contains(origin)
                else { return }
                retried[origin] = event
            }
        }
        return retried
    }

    /// Reads a request to apply an event that was parked (docs/dead-letters.md).
    ///
    /// - Returns: nil for a request of another consumer group, for one to discard, and for one without the event's
    ///   value: that was applied as it is in its topic.
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
