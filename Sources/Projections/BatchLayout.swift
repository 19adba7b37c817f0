internal import StreamCore

/// Why an event cannot be applied.
struct ItemFailure: Sendable, Equatable {
    let stage: StoppedPartition.Stage
    let failure: EventFailure
}

/// The origins of the events in a batch, without the events. It is enough to split the batch and to move offsets.
struct BatchLayout: Sendable {
    /// The part of the batch that comes from one partition.
    struct Part: Sendable {
        let partition: TopicPartition
        /// The offset after the last record taken, including skipped records; or the offset of the failure if there is
        /// one.
        var end: Int64
        /// Why the record at `end` cannot be decoded. No later record of the partition was taken.
        var failure: EventFailure?
        /// The index of the last event; nil if all records were skipped.
        var lastItem: Int?
        /// The mark of the last record taken; nil if there were only offsets without a record.
        var mark: RecordMark?
        /// The timestamp of the first record taken, in milliseconds since 1970; nil if there is no record or no
        /// timestamp.
        var oldestMs: Int64?
    }

    private(set) var parts: [Part] = []
    /// The index of the part, for each event.
    private(set) var partOfItem: [Int32] = []
    /// The offset, for each event.
    private(set) var offsetOfItem: [Int64] = []
    /// Items that cannot be decoded, if failures are parked.
    private(set) var failures: [Int: ItemFailure] = [:]
    /// Items without an event to apply: failures, and requests to discard an event.
    private(set) var withoutEvent: Set<Int> = []
    /// Items whose values are too large for a broker, in order. A transaction contains at most one of them.
    private(set) var heavyItems: [Int] = []

    var itemCount: Int { partOfItem.count }

    mutating func reserveCapacity(_ count: Int) {
        partOfItem.reserveCapacity(count)
        offsetOfItem.reserveCapacity(count)
    }

    /// - Returns: the index of the new part.
    mutating func appendPart(_ partition: TopicPartition, from start: Int64, oldestMs: Int64? = nil) -> Int {
        parts.append(Part(partition: partition, end: start, oldestMs: oldestMs))
        return parts.count - 1
    }

    mutating func appendEvent(part: Int, offset: Int64) {
        parts[part].lastItem = partOfItem.count
        parts[part].end = offset + 1
        partOfItem.append(Int32(truncatingIfNeeded: part))
        offsetOfItem.append(offset)
    }

    /// Appends an item without an event to apply.
    ///
    /// - Parameter failure: why the record cannot be decoded; nil for a request to discard an event.
    mutating func appendWithoutEvent(part: Int, offset: Int64, _ failure: EventFailure?) {
        let item = partOfItem.count
        withoutEvent.insert(item)
        if let failure { failures[item] = ItemFailure(stage: .decode, failure: failure) }
        appendEvent(part: part, offset: offset)
    }

    /// Appends an item whose value is stored in the database.
    mutating func appendHeavy(part: Int, offset: Int64) {
        heavyItems.append(partOfItem.count)
        appendEvent(part: part, offset: offset)
    }

    mutating func appendSkipped(part: Int, offset: Int64) {
        parts[part].end = offset + 1
    }

    /// Extends the part over offsets without a record.
    mutating func appendHole(part: Int, to end: Int64) {
        parts[part].end = max(parts[part].end, end)
    }

    mutating func appendMark(_ mark: RecordMark, part: Int) {
        parts[part].mark = mark
    }

    mutating func appendFailure(_ failure: EventFailure, part: Int, offset: Int64) {
        parts[part].end = offset
        parts[part].failure = failure
    }
}

/// The events of a batch that one transaction applies, and the moves of the offsets.
struct BatchSlice: Sendable, Equatable {
    struct Move: Sendable, Equatable {
        let partition: TopicPartition
        /// The next offset after the slice is committed.
        let next: Int64
        /// The mark of the last record before `next`; nil if a later slice has it.
        var mark: RecordMark?
    }

    /// The indexes of the events in the batch.
    let items: Range<Int>
    /// For each part that ends early, the first item that is left out.
    let cutOffs: [Int: Int]
    let moves: [Move]
    /// The items in `items` that are known to fail and are parked.
    var failures: [Int: ItemFailure] = [:]
}
