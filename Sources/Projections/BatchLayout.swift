internal import StreamCore

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
    }

    private(set) var parts: [Part] = []
    /// For each event the index of its part.
    private(set) var partOfItem: [Int32] = []
    /// For each event its offset.
    private(set) var offsetOfItem: [Int64] = []

    var itemCount: Int { partOfItem.count }

    mutating func reserveCapacity(_ count: Int) {
        partOfItem.reserveCapacity(count)
        offsetOfItem.reserveCapacity(count)
    }

    /// - Returns: the new part's index.
    mutating func appendPart(_ partition: TopicPartition, from start: Int64) -> Int {
        parts.append(Part(partition: partition, end: start))
        return parts.count - 1
    }

    mutating func appendEvent(part: Int, offset: Int64) {
        parts[part].lastItem = partOfItem.count
        parts[part].end = offset + 1
        partOfItem.append(Int32(truncatingIfNeeded: part))
        offsetOfItem.append(offset)
    }

    mutating func appendSkipped(part: Int, offset: Int64) {
        parts[part].end = offset + 1
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
    }

    /// Indexes of the batch's events.
    let items: Range<Int>
    /// Parts of the batch whose events within `items` are left out; nil when none is.
    let excludedParts: Set<Int>?
    let moves: [Move]
}
