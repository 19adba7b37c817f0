internal import StreamCore

/// Why an event is not applied.
struct ItemFailure: Sendable, Equatable {
    let stage: StoppedPartition.Stage
    let failure: EventFailure
}

/// Where the events of one batch came from, without the events: what splitting the batch and moving offsets need.
struct BatchLayout: Sendable {
    /// One partition's part of the batch.
    struct Part: Sendable {
        let partition: TopicPartition
        /// The offset after the last record taken, skipped ones included; the offset of the failure when there is one.
        var end: Int64
        /// The record at `end` cannot be decoded; nothing behind it was taken.
        var failure: EventFailure?
        /// The index of the last event, nil when all records were skipped.
        var lastItem: Int?
        /// The last record taken; nil when none was, only offsets without a record.
        var mark: RecordMark?
        /// When the first record taken was written, in milliseconds since 1970; nil when none was taken, or it has no
        /// time.
        var oldestMs: Int64?
    }

    private(set) var parts: [Part] = []
    /// For each event the index of its part.
    private(set) var partOfItem: [Int32] = []
    /// For each event its offset.
    private(set) var offsetOfItem: [Int64] = []
    /// Items that cannot be decoded, where these are parked.
    private(set) var failures: [Int: ItemFailure] = [:]
    /// Items with nothing to apply: failures, and requests to discard an event.
    private(set) var withoutEvent: Set<Int> = []
    /// Items whose values are larger than a broker takes, in order: a transaction has one of them at most.
    private(set) var heavyItems: [Int] = []

    var itemCount: Int { partOfItem.count }

    mutating func reserveCapacity(_ count: Int) {
        partOfItem.reserveCapacity(count)
        offsetOfItem.reserveCapacity(count)
    }

    /// - Returns: the new part's index.
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

    /// Appends an item that there is nothing to apply of, and why, when it is for a failure.
    mutating func appendWithoutEvent(part: Int, offset: Int64, _ failure: EventFailure?) {
        let item = partOfItem.count
        withoutEvent.insert(item)
        if let failure { failures[item] = ItemFailure(stage: .decode, failure: failure) }
        appendEvent(part: part, offset: offset)
    }

    /// Appends an item whose value is in the database.
    mutating func appendHeavy(part: Int, offset: Int64) {
        heavyItems.append(partOfItem.count)
        appendEvent(part: part, offset: offset)
    }

    mutating func appendSkipped(part: Int, offset: Int64) {
        parts[part].end = offset + 1
    }

    /// The partition ends here, behind offsets without a record.
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

/// Events of a batch that one transaction applies, and how far it moves the offsets.
struct BatchSlice: Sendable, Equatable {
    struct Move: Sendable, Equatable {
        let partition: TopicPartition
        /// The offset that is next when the slice is committed.
        let next: Int64
        /// The last record that is passed then; nil when a later slice knows it.
        var mark: RecordMark?
    }

    /// Indexes of the batch's events.
    let items: Range<Int>
    /// Of parts that end early, the first item that is left out.
    let cutOffs: [Int: Int]
    let moves: [Move]
    /// Those of `items` that are known to fail, and are parked.
    var failures: [Int: ItemFailure] = [:]
}
