/// Searches for the failing items among items that failed together. It tries parts in order and halves those that fail,
/// until a failing item is alone. A suspect is tried alone, right after the items before it.
///
/// A failing item is left out from then on. One failing item among n needs about log₂ n attempts, and fewer if the
/// suspect is right. Failing items often occur together, and the work of an attempt before a failure is lost.
/// Therefore, after a failing item was found, the next part is about as long as the distance to it, and doubles while
/// parts succeed.
struct FailureSearch: Sendable {
    /// The parts that are still to be tried, the last one first. Positions start at 0.
    private var parts: [Range<Int>]
    /// The number of items to try at once; nil for whole parts.
    private var reach: Int?
    /// The position after the last failing item that was found.
    private var start = 0

    /// Begins a search among items that failed together.
    ///
    /// - Parameters:
    ///   - count: the number of items.
    ///   - suspect: the position of the item that is probably the cause, or nil.
    init(count: Int, suspect: Int? = nil) {
        parts = count == 0 ? [] : [0..<count]
        if count > 1 { failed(suspect: suspect) }
    }

    /// Begins a search among items that were not tried yet.
    ///
    /// - Parameters:
    ///   - count: the number of items.
    ///   - reach: the number of items in the first attempt.
    init(count: Int, reach: Int) {
        parts = count == 0 ? [] : [0..<count]
        self.reach = max(reach, 1)
    }

    /// The part to try next, when everything before it is finished; nil if nothing is left.
    var next: Range<Int>? {
        guard let part = parts.last else { return nil }
        return reach.map { part.prefix($0) } ?? part
    }

    /// Reports that the part succeeded.
    mutating func succeeded() {
        _ = takeNext()
        reach = reach.map { $0 * 2 }
    }

    /// Reports that the part failed.
    ///
    /// - Parameter suspect: the position of the item that is probably the cause, or nil.
    mutating func failed(suspect: Int? = nil) {
        guard let part = takeNext() else { return }
        if part.count == 1 {
            reach = max(1, part.lowerBound - start)
            start = part.upperBound
            return
        }
        var cuts = [part.lowerBound, part.upperBound]
        if let suspect, part.contains(suspect) {
            cuts += [suspect, suspect + 1]
        } else {
            cuts.append(part.lowerBound + part.count / 2)
        }
        cuts.sort()
        for (start, end) in zip(cuts, cuts.dropFirst()).reversed() where start < end { parts.append(start..<end) }
        reach = nil
    }

    private mutating func takeNext() -> Range<Int>? {
        guard let next, let part = parts.popLast() else { return nil }
        if next.upperBound < part.upperBound { parts.append(next.upperBound..<part.upperBound) }
        return next
    }
}

/// How the events of a slice are applied.
enum Application: Sendable, Equatable {
    /// In one call, because no event is expected to fail.
    case together
    /// In parts of about this many events, because events failed recently at about this distance.
    case inParts(of: Int)
    /// In parts, because the events failed together.
    ///
    /// - Parameters:
    ///   - suspect: the event that is probably the cause, or nil.
    ///   - isTolerant: see ``isTolerant-swift.property``.
    case around(suspect: Int?, isTolerant: Bool)

    var isTogether: Bool {
        if case .together = self { true } else { false }
    }

    /// Whether an event can also be the cause of an error that events rarely cause: if it fails alone and other events
    /// of the same transaction do not.
    var isTolerant: Bool {
        if case .around(_, let isTolerant) = self { isTolerant } else { false }
    }

    /// The search through the events of a slice; nil if nothing has to be searched for.
    func search(_ fresh: ItemSelection) -> FailureSearch? {
        switch self {
        case .together: nil
        case .inParts(let reach): FailureSearch(count: fresh.count, reach: reach)
        case .around(let suspect, _):
            FailureSearch(count: fresh.count, suspect: suspect.flatMap { fresh.firstIndex(of: $0) })
        }
    }
}
