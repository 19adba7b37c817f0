internal import StreamCore

/// Which events of a batch go into the next transaction: all of them, until one fails for good; then halves, until
/// the failing event stands alone. Everything before it is applied, in order; its partition ends there, and the
/// other partitions go on.
///
/// A failing event among n costs about log₂ n transactions.
struct BatchSplitter: Sendable {
    enum FailureVerdict: Equatable {
        /// The next slice has fewer events.
        case split
        /// This event fails alone; the rest of its part is dropped.
        case isolated(item: Int)
        /// There was no event in the slice: no event is to blame.
        case noEvent
    }

    let layout: BatchLayout
    /// Events before this index are done with.
    private var done = 0
    /// A slice that ended here has failed, so the next ends earlier.
    private var failedEnd: Int?
    private var dropped: Set<Int> = []
    private var isFinished = false

    init(_ layout: BatchLayout) {
        self.layout = layout
    }

    /// The slice to apply next; nil when the whole batch is done with. The same until one of the functions below is
    /// called.
    mutating func next() -> BatchSlice? {
        while !isFinished {
            let items = window
            let moves = moves(of: items)
            if !moves.isEmpty {
                return BatchSlice(items: items, excludedParts: dropped.isEmpty ? nil : dropped, moves: moves)
            }
            succeeded()
        }
        return nil
    }

    /// The slice was committed.
    mutating func succeeded() {
        let end = window.upperBound
        done = end
        if let failedEnd, failedEnd <= end { self.failedEnd = nil }
        isFinished = end == layout.itemCount
    }

    /// The slice failed in a way that will not change.
    mutating func failed(_ slice: BatchSlice) -> FailureVerdict {
        // A part dropped while the slice was tried may have been the one that failed: try what is left as it is.
        guard dropped == slice.excludedParts ?? [] else { return .split }
        let items = window
        let live = items.filter { !dropped.contains(Int(layout.partOfItem[$0])) }
        guard let first = live.first else { return .noEvent }
        guard live.count == 1 else {
            failedEnd = items.upperBound
            return .split
        }
        drop(part: Int(layout.partOfItem[first]))
        done = items.upperBound
        if let failedEnd, failedEnd <= done { self.failedEnd = nil }
        return .isolated(item: first)
    }

    /// The slice is too large for its deadline: the next is half of it, down to one event.
    mutating func shrink() {
        if window.count > 1 { failedEnd = window.upperBound }
    }

    /// Leaves out what is not yet applied of a partition.
    mutating func drop(_ partition: TopicPartition) {
        if let part = layout.parts.firstIndex(where: { $0.partition == partition }) { drop(part: part) }
    }

    func isDropped(part: Int) -> Bool { dropped.contains(part) }

    mutating func drop(part: Int) {
        dropped.insert(part)
    }

    private var window: Range<Int> {
        guard let failedEnd else { return done..<layout.itemCount }
        return done..<done + max(1, (failedEnd - done) / 2)
    }

    /// How far the offsets of the partitions move with the events of `items`. A partition whose last event is among
    /// them also passes the records skipped behind it; one without any event passes with the last slice.
    private func moves(of items: Range<Int>) -> [BatchSlice.Move] {
        var ends = [Int64?](repeating: nil, count: layout.parts.count)
        for (index, part) in layout.parts.enumerated() {
            guard !dropped.contains(index) else { continue }
            if let last = part.lastItem {
                if items.contains(last) { ends[index] = part.end }
            } else if items.upperBound == layout.itemCount {
                ends[index] = part.end
            }
        }
        if items.upperBound < layout.itemCount {
            for item in items.reversed() {
                let part = Int(layout.partOfItem[item])
                if ends[part] == nil && !dropped.contains(part) { ends[part] = layout.offsetOfItem[item] + 1 }
            }
        }
        return zip(layout.parts, ends).compactMap { part, end in
            end.map { BatchSlice.Move(partition: part.partition, next: $0) }
        }
    }
}
