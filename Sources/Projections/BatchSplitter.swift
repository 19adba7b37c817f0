internal import StreamCore

/// Which events of a batch go into the next transaction: all of them, until one fails for good. Where failures are
/// parked, the failing events are looked for and marked (``FailureSearch``), stay where they are, and go on with the
/// others. Where they are not, or the search finds none, come halves, until the failing event stands alone: everything
/// before it is applied, in order, and its partition ends there, or it is marked after all.
struct BatchSplitter: Sendable {
    enum FailureVerdict: Equatable {
        /// The next slice has fewer events.
        case split
        /// This event fails alone; the rest of its part is dropped.
        case isolated(item: Int)
        /// This event is known to fail now, and parked with the next slice.
        case marked(item: Int)
        /// There was no event in the slice: no event is to blame.
        case noEvent
    }

    let layout: BatchLayout
    /// Events before this index are done with.
    private var done = 0
    /// A slice that ended here has failed, so the next ends earlier.
    private var failedEnd: Int?
    /// Of parts that end early, the first item that is left out.
    private var cutOffs: [Int: Int] = [:]
    /// Events that are parked, by why.
    private var marks: [Int: ItemFailure]
    private var isFinished = false
    /// An event that failed alone, which may be to blame if others do not fail beside it.
    var suspect: Int?

    init(_ layout: BatchLayout) {
        self.layout = layout
        marks = layout.failures
    }

    /// The slice to apply next; nil when the whole batch is done with. The same until one of the functions below is
    /// called.
    mutating func next() -> BatchSlice? {
        while !isFinished {
            let items = limited(window)
            let moves = moves(of: items)
            if !moves.isEmpty {
                var slice = BatchSlice(items: items, cutOffs: cutOffs, moves: moves)
                if !marks.isEmpty { slice.failures = marks.filter { items.contains($0.key) && isLive($0.key) } }
                return slice
            }
            pass(items.upperBound)
        }
        return nil
    }

    /// The slice was committed.
    mutating func succeeded(_ slice: BatchSlice) {
        pass(slice.items.upperBound)
    }

    private mutating func pass(_ end: Int) {
        done = end
        suspect = nil
        if let failedEnd, failedEnd <= end { self.failedEnd = nil }
        isFinished = end == layout.itemCount
    }

    /// The slice failed in a way that will not change, and failures are parked.
    ///
    /// - Parameter culprit: the event that is known to be to blame.
    mutating func failed(
        _ slice: BatchSlice, culprit: Int?, _ failure: ItemFailure
    ) -> FailureVerdict {
        guard cutOffs == slice.cutOffs else { return .split }
        let live = slice.items.filter { isLive($0) && marks[$0] == nil && !layout.withoutEvent.contains($0) }
        let found = culprit.flatMap { live.contains($0) ? $0 : nil } ?? (live.count == 1 ? live[0] : nil)
        guard let found else {
            if live.isEmpty { return .noEvent }
            failedEnd = slice.items.upperBound
            return .split
        }
        marks[found] = failure
        return .marked(item: found)
    }

    /// These events are known to fail now, and parked with the next slices.
    mutating func mark(_ failures: [Int: ItemFailure]) {
        for (item, failure) in failures where item >= done && isLive(item) { marks[item] = failure }
        failedEnd = nil
    }

    /// The events that may be tried by themselves.
    var candidates: [Int] {
        guard !isFinished else { return [] }
        return (done..<layout.itemCount).filter {
            isLive($0) && !layout.withoutEvent.contains($0) && !layout.heavyItems.contains($0)
        }
    }

    /// Those of one part.
    func candidates(in part: Int) -> [Int] {
        candidates.filter { Int(layout.partOfItem[$0]) == part }
    }

    private func isLive(_ item: Int) -> Bool {
        cutOffs.isEmpty || item < cutOffs[Int(layout.partOfItem[item])] ?? .max
    }

    /// The slice failed in a way that will not change, and its partition stops.
    mutating func failed(_ slice: BatchSlice) -> FailureVerdict {
        // A part dropped while the slice was tried may have been the one that failed: try what is left as it is.
        guard cutOffs == slice.cutOffs else { return .split }
        let items = slice.items
        let live = items.filter(isLive)
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
    ///
    /// - Returns: false when it was but one event already.
    mutating func shrink() -> Bool {
        guard window.filter(isLive).count > 1 else { return false }
        failedEnd = window.upperBound
        return true
    }

    /// The slice's only event fails: the next slice has others, to see whether they do.
    ///
    /// - Returns: false when there are no others.
    mutating func widen(beyond slice: BatchSlice, around item: Int) -> Bool {
        guard suspect == nil, slice.items.upperBound < layout.itemCount else { return false }
        failedEnd = nil
        suspect = item
        return true
    }

    /// Leaves out what is not yet applied of a partition.
    mutating func drop(_ partition: TopicPartition) {
        if let part = layout.parts.firstIndex(where: { $0.partition == partition }) { drop(part: part) }
    }

    /// The part does not come to its end: something of it is left out, or all.
    func isCut(part: Int) -> Bool { cutOffs[part] != nil }

    func isDropped(part: Int) -> Bool { cutOffs[part] == 0 }

    mutating func drop(part: Int) { cut(part: part, at: 0) }

    /// Leaves out the events of a part from this one on.
    mutating func cut(part: Int, at item: Int) {
        cutOffs[part] = min(item, cutOffs[part] ?? .max)
    }

    private var window: Range<Int> {
        if let failedEnd { return done..<done + max(1, (failedEnd - done) / 2) }
        return done..<layout.itemCount
    }

    /// Ends behind the first value that the database keeps.
    private func limited(_ items: Range<Int>) -> Range<Int> {
        guard let heavy = layout.heavyItems.first(where: { $0 >= items.lowerBound }) else { return items }
        return items.lowerBound..<min(items.upperBound, heavy + 1)
    }

    /// How far the offsets of the partitions move with the events of `items`. A partition whose last event is among
    /// them also passes the records skipped behind it; one without any event passes with the last slice.
    private func moves(of items: Range<Int>) -> [BatchSlice.Move] {
        var ends = [Int64?](repeating: nil, count: layout.parts.count)
        for (index, part) in layout.parts.enumerated() {
            guard cutOffs[index] == nil else { continue }
            if let last = part.lastItem {
                if items.contains(last) { ends[index] = part.end }
            } else if items.upperBound == layout.itemCount {
                ends[index] = part.end
            }
        }
        if items.upperBound < layout.itemCount || !cutOffs.isEmpty {
            for item in items.reversed() where isLive(item) {
                let part = Int(layout.partOfItem[item])
                if ends[part] == nil { ends[part] = layout.offsetOfItem[item] + 1 }
            }
        }
        return zip(layout.parts, ends).compactMap { part, end in
            end.map {
                BatchSlice.Move(partition: part.partition, next: $0, mark: $0 == part.end ? part.mark : nil)
            }
        }
    }
}
