internal import StreamCore

/// Decides which events of a batch the next transaction applies: all of them, until one fails permanently.
///
/// If failures are parked, the failing events are searched for and marked (``FailureSearch``). They stay in the batch,
/// and the transaction that applies the others parks them. If failures are not parked, or the search finds none, slices
/// are halved until the failing event is alone. Everything before it is applied in order. Then its partition ends
/// there, or the event is marked.
struct BatchSplitter: Sendable {
    enum FailureVerdict: Equatable {
        /// The next slice has fewer events.
        case split
        /// This event fails alone. The rest of its part is dropped.
        case isolated(item: Int)
        /// This event is now known to fail, and is parked with the next slice.
        case marked(item: Int)
        /// The slice contained no event, so no event is the cause.
        case noEvent
    }

    let layout: BatchLayout
    /// Events before this index are finished.
    private var done = 0
    /// The end of a slice that failed. The next slice ends earlier.
    private var failedEnd: Int?
    /// For each part that ends early, the first item that is left out.
    private var cutOffs: [Int: Int] = [:]
    /// Events that are parked, with the reasons.
    private var marks: [Int: ItemFailure]
    private var isFinished = false
    /// An event that failed alone. It is the cause if other events do not fail.
    var suspect: Int?

    init(_ layout: BatchLayout) {
        self.layout = layout
        marks = layout.failures
    }

    /// The slice to apply next; nil if the whole batch is finished. It returns the same slice until one of the
    /// following methods is called.
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

    /// Reports that the slice was committed.
    mutating func succeeded(_ slice: BatchSlice) {
        pass(slice.items.upperBound)
    }

    private mutating func pass(_ end: Int) {
        done = end
        suspect = nil
        if let failedEnd, failedEnd <= end { self.failedEnd = nil }
        isFinished = end == layout.itemCount
    }

    /// Reports that the slice failed permanently, for a projection that parks failures.
    ///
    /// - Parameters:
    ///   - slice: the slice that failed.
    ///   - culprit: the event that is known to be the cause, or nil.
    ///   - failure: the failure.
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

    /// Marks events that are known to fail. They are parked with the next slices.
    mutating func mark(_ failures: [Int: ItemFailure]) {
        for (item, failure) in failures where item >= done && isLive(item) { marks[item] = failure }
        failedEnd = nil
    }

    /// The events that can be tried alone.
    var candidates: [Int] {
        guard !isFinished else { return [] }
        return (done..<layout.itemCount).filter {
            isLive($0) && !layout.withoutEvent.contains($0) && !layout.heavyItems.contains($0)
        }
    }

    /// The events of one part that can be tried alone.
    func candidates(in part: Int) -> [Int] {
        candidates.filter { Int(layout.partOfItem[$0]) == part }
    }

    private func isLive(_ item: Int) -> Bool {
        cutOffs.isEmpty || item < cutOffs[Int(layout.partOfItem[item])] ?? .max
    }

    /// Reports that the slice failed permanently, for a projection that stops partitions.
    mutating func failed(_ slice: BatchSlice) -> FailureVerdict {
        // A part that was dropped in the meantime may have been the cause, so what is left is tried again.
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

    /// Halves the next slice, down to one event, because the slice exceeded its deadline.
    ///
    /// - Returns: false if the slice has only one event.
    mutating func shrink() -> Bool {
        guard window.filter(isLive).count > 1 else { return false }
        failedEnd = window.upperBound
        return true
    }

    /// Lets the next slice contain other events besides the only event of the failed slice, to see whether they fail
    /// too.
    ///
    /// - Parameters:
    ///   - slice: the slice that failed.
    ///   - item: its only event.
    /// - Returns: false if there are no other events.
    mutating func widen(beyond slice: BatchSlice, around item: Int) -> Bool {
        guard suspect == nil, slice.items.upperBound < layout.itemCount else { return false }
        failedEnd = nil
        suspect = item
        return true
    }

    /// Leaves out the events of a partition that are not applied yet.
    mutating func drop(_ partition: TopicPartition) {
        if let part = layout.parts.firstIndex(where: { $0.partition == partition }) { drop(part: part) }
    }

    /// Whether some or all events of the part are left out.
    func isCut(part: Int) -> Bool { cutOffs[part] != nil }

    func isDropped(part: Int) -> Bool { cutOffs[part] == 0 }

    mutating func drop(part: Int) { cut(part: part, at: 0) }

    /// Leaves out the events of a part from `item` on.
    mutating func cut(part: Int, at item: Int) {
        cutOffs[part] = min(item, cutOffs[part] ?? .max)
    }

    private var window: Range<Int> {
        if let failedEnd { return done..<done + max(1, (failedEnd - done) / 2) }
        return done..<layout.itemCount
    }

    /// Shortens the range so that it ends after the first value that is stored in the database.
    private func limited(_ items: Range<Int>) -> Range<Int> {
        guard let heavy = layout.heavyItems.first(where: { $0 >= items.lowerBound }) else { return items }
        return items.lowerBound..<min(items.upperBound, heavy + 1)
    }

    /// The moves of the offsets for the events of `items`. If a partition's last event is among them, its offset also
    /// passes the skipped records after it. A partition without events moves with the last slice.
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
