public import Kafka
public import Postgres
public import Projections
internal import StreamCore

/// Stores dead letters as rows: the projection of all dead-letter topics into `dead_letters`.
///
/// As a projection it receives each record once, because offsets and rows are one transaction. ``LetterLife`` handles a
/// letter that occurs twice in the topic. No record makes it fail: it stores an unreadable record unchanged.
public struct DeadLetterIngest: Projection {
    public typealias Event = LetterNotice

    public let name = "dead-letter-handler"
    public let version = 1
    public let topics: [String]
    public let eventTypes = [Self.eventType]
    private static let eventType = "letter"
    private let readers: [String: LetterReader]
    private let writer: IngestWriter

    /// - Parameter configuration: must be valid.
    public init(_ configuration: DeadLetterHandlerConfiguration) {
        self.init(configuration, results: ReplayResults(), due: DueSignal())
    }

    init(_ configuration: DeadLetterHandlerConfiguration, results: ReplayResults, due: DueSignal) {
        let sources = configuration.sources
        topics = sources.keys.sorted()
        readers = sources.mapValues { LetterReader($0) }
        writer = IngestWriter(
            policies: RetryPolicies(policies: configuration.policies), results: results, due: due,
            largestSet: configuration.sequenceLetters, blockedHeadMs: configuration.stuckAfterMs)
    }

    public func decode(_ record: borrowing RecordView) throws(EventFailure) -> DecodedRecord<LetterNotice> {
        let copy = LetterRecord(record)
        guard let reader = readers[copy.topicPartition.topic] else { return .skipped(SkipReason("unknown_topic")) }
        let identity = EventIdentity(
            eventID: Self.eventID(of: copy), eventType: Self.eventType, aggregateID: copy.topicPartition.description,
            // Offsets are not consecutive with transactional producers, and partitions have no common order. 0 means
            // that there is no sequence.
            sequence: 0, timestamp: LetterReader.timestamp(copy.timestampMs ?? 0) ?? Timestamp(microseconds: 0))
        return .event(identity, reader.read(copy))
    }

    public func apply(_ events: [LetterNotice], in transaction: PostgresTransaction) async throws {
        try await writer.write(events, in: transaction)
    }

    /// Position and timestamp identify a record of Kafka. If a topic was deleted and created again, it has other
    /// records at the same positions. Two hashes of these values form an id that is the same at every delivery (a UUID
    /// of version 8, RFC 9562).
    static func eventID(of record: LetterRecord) -> EventID {
        func hash(_ seed: UInt64) -> UInt64 {
            var hash = StableHash(seed: seed)
            for byte in record.topicPartition.topic.utf8 { hash.mix(byte) }
            hash.mix(UInt64(truncatingIfNeeded: record.topicPartition.partition))
            hash.mix(UInt64(bitPattern: record.offset))
            hash.mix(UInt64(bitPattern: record.timestampMs ?? -1))
            return hash.value
        }
        let high = hash(0) & ~0xF000 | 0x8000
        let low = hash(0x9e37_79b9_7f4a_7c15) & ~(3 << 62) | 2 << 62
        return EventID(high: high, low: low)
    }
}

extension LetterRecord {
    init(_ record: borrowing RecordView) {
        self.init(
            topicPartition: record.topicPartition, offset: record.offset, timestampMs: record.timestampMs,
            key: Self.copy(record.key), value: Self.copy(record.value), headers: record.headers)
    }

    private static func copy(_ span: Span<UInt8>?) -> [UInt8]? {
        guard let span else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(span.count)
        for index in span.indices { bytes.append(span[index]) }
        return bytes
    }
}
