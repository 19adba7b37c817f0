/// Looks for the failing ones among things that were tried together and failed: tries parts in order, cuts those that
/// fail in two, until what fails stands alone. One that is suspected is tried alone at once, after those before it.
///
/// What fails is out of the way from then on. One failing thing among n costs about log₂ n tries, few when it is
/// suspected rightly. Where there is one there are often more, and what a try does before it fails is in vain: behind
/// one that was found, the next part is about as long as the way to it was, and grows while parts work.
struct FailureSearch: Sendable {
    /// Parts that are still to be tried, the last one first. Positions from 0 on.
    private var parts: [Range<Int>]
    /// How much to try at once; nil for whole parts.
    private var reach: Int?
    /// Behind the one found last.
    private var start = 0

    /// - Parameters:
    ///   - count: how many failed together.
    ///   - suspect: the position of the one that seems to be to blame.
    init(count: Int, suspect: Int? = nil) {
        parts = count == 0 ? [] : [0..<count]
        if count > 1 { failed(suspect: suspect) }
    }

    /// - Parameters:
    ///   - count: how many there are that were not tried yet.
    ///   - reach: how many of them to try at first.
    init(count: Int, reach: Int) {
        parts = count == 0 ? [] : [0..<count]
        self.reach = max(reach, 1)
    }

    /// What to try next, all before it that works being done; nil when nothing is left.
    var next: Range<Int>? {
        guard let part = parts.last else { return nil }
        return reach.map { part.prefix($0) } ?? part
    }

    /// What was tried works.
    mutating func succeeded() {
        _ = takeNext()
        reach = reach.map { $0 * 2 }
    }

    /// What was tried fails.
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
    /// By one call, as none is expected to fail.
    case together
    /// In parts of about so many: events failed lately, about so far from each other.
    case inParts(of: Int)
    /// They failed together, maybe for this one.
    ///
    /// - Parameter isTolerant: see ``isTolerant-swift.property``.
    case around(suspect: Int?, isTolerant: Bool)

    var isTogether: Bool {
        if case .together = self { true } else { false }
    }

    /// An event may also be to blame for an error that is seldom an event's: when it fails alone and others, in the
    /// same transaction, do not.
    var isTolerant: Bool {
        if case .around(_, let isTolerant) = self { isTolerant } else { false }
    }

    /// The search through a slice's events; nil when there is nothing to look for.
    func search(_ fresh: ItemSelection) -> FailureSearch? {
        switch self {
        case .together: nil
        case .inParts(let reach): FailureSearch(count: fresh.count, reach: reach)
        case .around(let suspect, _):
            FailureSearch(count: fresh.count, suspect: suspect.flatMap { fresh.firstIndex(of: $0) })
        }
    }
}
