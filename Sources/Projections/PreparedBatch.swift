internal import Kafka
internal import Letters
internal import StreamCore
internal import Traces

/// The decoded events of a batch in the order in which they were polled, and other work such as retries. Each piece of
/// work is an *item*.
struct PreparedBatch<Event: Sendable>: Sendable {
    private(set) var layout = BatchLayout()
    private(set) var identities: [EventIdentity] = []
    private(set) var events: [Event] = []
    /// The index of the event for each item, or −1 for an item without an event; nil if each item has one.
    private var eventOfItem: [Int32]?
    /// The days of the events. `processed_events` is partitioned by day.
    private(set) var days: Set<Int32> = []
    private(set) var skipped: [SkipReason: Int] = [:]
    private var lastDay: Int32?
    /// The results of looking for the marked records of partitions.
    private(set) var continuity: [TopicPartition: Continuity] = [:]
    /// The end offsets of the partitions that were read to the end.
    private(set) var ends: [TopicPartition: Int64] = [:]

    /// The records, if failures are parked, because letters contain them. They hold librdkafka's memory, which consists
    /// of whole responses of brokers, until the batch is written.
    private let records: RecordBatch?
    private var recordOfItem: [Int32] = []
    /// The requests of those items that are records of the retry topic.
    private(set) var retries: [Int: RetryRequest] = [:]
    /// The items whose records belong to a recorded trace, in ascending order; empty if nothing is traced.
    private(set) var traces: [(item: Int, context: TraceContext)] = []
    /// Keys of items that were read from the database.
    private(set) var keptKeys: [Int: [UInt8]] = [:]

    init() {
        records = nil
    }

    /// Decodes the records that are taken.
    ///
    /// The first record of a partition that cannot be decoded ends that partition's part, because later records must
    /// not overtake it. If failures are parked, it is an item like the others.
    ///
    /// - Parameters:
    ///   - records: the polled records.
    ///   - projection: decodes the records.
    ///   - positions: the partitions whose records are taken, with the first offset of each.
    ///   - marks: the record that a partition must begin with, for those that have one.
    ///   - route: the topics of dead letters; nil if failures stop their partitions.
    ///   - group: the consumer group. Retries of events that another group parked are skipped, because the versions of
    ///     a projection share their retry topic.
    ///   - isTraced: whether to look for the traces that the records belong to.
    init<P: Projection>(
        _ records: RecordBatch, for projection: P, from positions: [TopicPartition: Int64],
        expecting marks: [TopicPartition: RecordMark] = [:], parking route: DeadLetterRoute? = nil,
        of group: String = "", isTraced: Bool = false
    ) where P.Event == Event {
        self.records = route == nil ? nil : records
        layout.reserveCapacity(records.count)
        identities.reserveCapacity(records.count)
        events.reserveCapacity(records.count)
        if route != nil { recordOfItem.reserveCapacity(records.count) }
        var current: TopicPartition?
        var part: Int?
        var floor: Int64 = 0
        var mark: RecordMark?
        var isOther = false
        /// The last record that each part passes.
        var lastPassed: [Int?] = []
        for (index, record) in records.enumerated() {
            let partition = record.topicPartition
            if partition != current {
                current = partition
                part = layout.parts.firstIndex { $0.partition == partition }
                floor = positions[partition] ?? .max
                mark = continuity[partition] == nil ? marks[partition] : nil
                isOther = isRefused(partition)
            }
            let offset = record.offset
            if let expected = mark, offset >= expected.offset {
                mark = nil
                continuity[partition] = Continuity(expected, found: record)
                isOther = isRefused(partition)
            }
            guard offset >= floor, !isOther else { continue }
            if part == nil {
                part = layout.appendPart(partition, from: floor, oldestMs: record.timestampMs)
                lastPassed.append(nil)
            }
            guard let part, layout.parts[part].failure == nil else { continue }
            let item = layout.itemCount
            let place = Place(part: part, offset: offset, record: route == nil ? nil : Int32(index))
            if let route, partition.topic == route.retryTopic {
                append(retry: record, of: projection, in: group, at: place)
            } else {
                append(record, of: projection, at: place)
            }
            if isTraced, layout.itemCount > item { noteTrace(of: record, item) }
            if layout.parts[part].failure == nil { lastPassed[part] = index }
        }
        for (part, index) in lastPassed.enumerated() {
            if let index { layout.appendMark(RecordMark(records[index]), part: part) }
        }
        note(records.ends, positions, marks)
    }

    /// Creates a batch without records, from the ends of partitions.
    ///
    /// - Parameters:
    ///   - ends: the end offset of each partition.
    ///   - positions: the partitions that are taken, with the next offset of each.
    ///   - marks: the record that a partition must begin with, for those that have one.
    init(
        ends: [TopicPartition: Int64], from positions: [TopicPartition: Int64],
        expecting marks: [TopicPartition: RecordMark]
    ) {
        records = nil
        note(ends, positions, marks)
    }

    private func isRefused(_ partition: TopicPartition) -> Bool {
        continuity[partition].map { $0 != .same } ?? false
    }

    /// Extends the partitions to their ends, over offsets without a record.
    private mutating func note(
        _ ends: [TopicPartition: Int64], _ positions: [TopicPartition: Int64], _ marks: [TopicPartition: RecordMark]
    ) {
        for (partition, end) in ends {
            guard let position = positions[partition] else { continue }
            if let mark = marks[partition], continuity[partition] == nil {
                continuity[partition] = .noRecord(mark)
            }
            guard !isRefused(partition) else { continue }
            self.ends[partition] = end
            if let part = layout.parts.firstIndex(where: { $0.partition == partition }) {
                if layout.parts[part].failure == nil { layout.appendHole(part: part, to: end) }
            } else if end > position {
                layout.appendHole(part: layout.appendPart(partition, from: position), to: end)
            }
        }
    }

    /// The position of a record in the batch.
    private struct Place {
        let part: Int
        let offset: Int64
        /// The index in the records, if they are kept.
        let record: Int32?
    }

    private mutating func append<P: Projection>(
        _ record: RecordView, of projection: P, at place: Place
    ) where P.Event == Event {
        do throws(EventFailure) {
            switch try projection.decode(record) {
            case .event(let identity, let event):
                append(identity, event, part: place.part, offset: place.offset)
                noteRecord(place)
            case .skipped(let reason):
                skip(reason, at: place)
            }
        } catch {
            guard place.record != nil else {
                return layout.appendFailure(error, part: place.part, offset: place.offset)
            }
            appendWithoutEvent(at: place, error)
        }
    }

    private mutating func append<P: Projection>(
        retry record: RecordView, of projection: P, in group: String, at place: Place
    ) where P.Event == Event {
        guard let request = RetryRequest(record) else { return skip(SkipReason("invalid_retry"), at: place) }
        if let other = request.group, other != group { return skip(SkipReason("retry_of_another_group"), at: place) }
        retries[layout.itemCount] = request
        switch request.action {
        case .discard:
            appendWithoutEvent(at: place, nil)
        case .apply where request.isValueKept:
            noteMissingEvent()
            layout.appendHeavy(part: place.part, offset: place.offset)
            noteRecord(place)
        case .apply:
            let original = record.standing(for: request.origin.partition, offset: request.origin.offset)
            do throws(EventFailure) {
                switch try projection.decode(original) {
                case .event(let identity, let event):
                    append(identity, event, part: place.part, offset: place.offset)
                    noteRecord(place)
                // The read model no longer reads such events, so there is nothing to wait for.
                case .skipped: appendWithoutEvent(at: place, nil)
                }
            } catch {
                appendWithoutEvent(at: place, error)
            }
        }
    }

    private mutating func skip(_ reason: SkipReason, at place: Place) {
        layout.appendSkipped(part: place.part, offset: place.offset)
        skipped[reason, default: 0] += 1
    }

    private mutating func appendWithoutEvent(at place: Place, _ failure: EventFailure?) {
        noteMissingEvent()
        layout.appendWithoutEvent(part: place.part, offset: place.offset, failure)
        noteRecord(place)
    }

    /// Notes that the next item has no event.
    private mutating func noteMissingEvent() {
        if eventOfItem == nil { eventOfItem = (0..<layout.itemCount).map { Int32($0) } }
        eventOfItem?.append(-1)
    }

    private mutating func noteRecord(_ place: Place) {
        if let index = place.record { recordOfItem.append(index) }
    }

    private mutating func noteTrace(of record: RecordView, _ item: Int) {
        guard let header = record.header(named: "traceparent")?.value,
            let context = TraceContext(traceparent: header.span), context.isSampled
        else { return }
        traces.append((item, context))
    }

    /// Adds a part for a partition.
    ///
    /// - Returns: the index of the part.
    mutating func appendPart(_ partition: TopicPartition, from start: Int64) -> Int {
        layout.appendPart(partition, from: start)
    }

    mutating func append(_ identity: EventIdentity, _ event: Event, part: Int, offset: Int64) {
        eventOfItem?.append(Int32(events.count))
        layout.appendEvent(part: part, offset: offset)
        append(identity, event)
    }

    private mutating func append(_ identity: EventIdentity, _ event: Event) {
        identities.append(identity)
        events.append(event)
        let day = identity.timestamp.day
        if day != lastDay { days.insert(day) }
        lastDay = day
    }

    /// Sets the event of an item, after it was read from the database.
    mutating func fill(_ item: Int, _ identity: EventIdentity, _ event: Event) {
        eventOfItem?[item] = Int32(events.count)
        append(identity, event)
    }

    /// Sets the key of an item's record, which its letter could not contain.
    mutating func fill(_ item: Int, key: [UInt8]) {
        keptKeys[item] = key
    }

    // MARK: items

    /// Whether each item has an event with the same index.
    var isPlain: Bool { eventOfItem == nil }

    /// The index of an item's event; nil if there is nothing to apply.
    func eventIndex(_ item: Int) -> Int? {
        guard let eventOfItem else { return item }
        return eventOfItem[item] < 0 ? nil : Int(eventOfItem[item])
    }

    func identity(_ item: Int) -> EventIdentity? {
        eventIndex(item).map { identities[$0] }
    }

    /// The item's record, if failures are parked.
    func record(_ item: Int) -> RecordView? {
        records.map { $0[Int(recordOfItem[item])] }
    }

    /// The partition of the item's record.
    func partition(_ item: Int) -> TopicPartition {
        layout.parts[Int(layout.partOfItem[item])].partition
    }

    /// The type of an item's event. If the event cannot be decoded, it is the type in the record's headers. Empty if it
    /// is unknown.
    func eventType(_ item: Int) -> String {
        if let identity = identity(item) { return Self.countable(identity.eventType) }
        for name in EventTypeHeader.names {
            guard let value = record(item)?.header(named: "\(name)")?.value else { continue }
            return String(validating: value, as: UTF8.self).map(Self.countable) ?? ""
        }
        return ""
    }

    /// The type if a table can store it; otherwise empty.
    private static func countable(_ type: String) -> String {
        type.utf8.count > 200 || type.utf8.contains(0) ? "" : type
    }

    /// The original position of the item's record.
    func origin(_ item: Int) -> RecordOrigin {
        if let request = retries[item] { return request.origin }
        return RecordOrigin(
            partition: partition(item), offset: layout.offsetOfItem[item], timestampMs: record(item)?.timestampMs)
    }
}
