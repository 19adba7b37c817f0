internal import Kafka
internal import StreamCore

/// The decoded events of a batch, in the order in which they were polled.
struct PreparedBatch<Event: Sendable>: Sendable {
    private(set) var layout = BatchLayout()
    private(set) var identities: [EventIdentity] = []
    private(set) var events: [Event] = []
    /// The days of the events, as `processed_events` is partitioned by them.
    private(set) var days: Set<Int32> = []
    private(set) var skipped: [SkipReason: Int] = [:]
    private var lastDay: Int32?

    init() {}

    /// Decodes the records that are taken.
    ///
    /// The first record of a partition that cannot be decoded ends that partition's part: what follows must not
    /// overtake it.
    ///
    /// - Parameter positions: the partitions whose records are taken, and from which offset on.
    init<P: Projection>(
        _ records: RecordBatch, for projection: P, from positions: [TopicPartition: Int64]
    ) where P.Event == Event {
        layout.reserveCapacity(records.count)
        identities.reserveCapacity(records.count)
        events.reserveCapacity(records.count)
        var current: TopicPartition?
        var part: Int?
        var floor: Int64 = 0
        for record in records {
            let partition = record.topicPartition
            if partition != current {
                current = partition
                part = layout.parts.firstIndex { $0.partition == partition }
                floor = positions[partition] ?? .max
                if part == nil && record.offset >= floor { part = layout.appendPart(partition, from: floor) }
            }
            let offset = record.offset
            guard let part, offset >= floor, layout.parts[part].failure == nil else { continue }
            do throws(EventFailure) {
                switch try projection.decode(record) {
                case .event(let identity, let event): append(identity, event, part: part, offset: offset)
                case .skipped(let reason):
                    layout.appendSkipped(part: part, offset: offset)
                    skipped[reason, default: 0] += 1
                }
            } catch {
                layout.appendFailure(error, part: part, offset: offset)
            }
        }
    }

    /// Makes room for a partition's records.
    ///
    /// - Returns: the part's index.
    mutating func appendPart(_ partition: TopicPartition, from start: Int64) -> Int {
        layout.appendPart(partition, from: start)
    }

    mutating func append(_ identity: EventIdentity, _ event: Event, part: Int, offset: Int64) {
        layout.appendEvent(part: part, offset: offset)
        identities.append(identity)
        events.append(event)
        let day = identity.timestamp.day
        if day != lastDay { days.insert(day) }
        lastDay = day
    }
}
