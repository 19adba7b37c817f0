/// Where the reading of the outbox stands: a cursor over ids, and the gaps below it that may still be filled.
///
/// Ids are handed out before their transactions commit, so the order in which rows become visible is not the order of
/// their ids: a cursor alone would step over the row of a transaction that is still running. Reading from the lowest
/// row each time would find them all, but has to step over every dead row that vacuum may not remove yet, and so gets
/// slower for as long as any transaction in the cluster stays open. Therefore each page is
///
///     rows with id > position          what is new
///     + rows inside the gaps           what became visible late
///
/// in one statement, hence one snapshot, in the order of ids: a row that became visible late is published before
/// younger rows of its key that the same snapshot shows.
///
/// `position` never means "done". ``rewind(to:)`` goes back when rows that were sent before have to be sent again; rows
/// that are on their way already are told apart by ``FlightTable``.
///
/// Rows below the position are looked at by two scans of their own, a page in turn with the forward one, so that what
/// is new never waits for them: the backlog, for rows that were left behind while they might not be sent (see
/// ``SendGates``), and the sweep, for rows whose ids no gap foretold.
///
/// No statement walks more of the index than a slice of ids, since dead rows may lie there by the million. Where the
/// gaps are too wide for a page's statement, it goes without them, and before its rows are sent the gaps are looked
/// into in slices of their own (``GapLook``), by later snapshots: they show all that the page's snapshot showed there.
/// Before rows of the backlog and the sweep are sent, the gaps below their page are looked into in the same way.
///
/// A pure value: it neither reads nor waits.
struct ScanCursor {
    /// Which rows a page is of.
    enum Scan: Sendable {
        /// New ones.
        case forward
        /// Those that were left behind.
        case backlog
        /// All that are there.
        case sweep
    }

    /// One page to be read.
    struct Request: Equatable, Sendable {
        /// 1, 2, … in the order of reading.
        let number: UInt64
        let scan: Scan
        /// Rows above this id
        let after: Int64
        /// and not above this one, and
        let upTo: Int64
        /// the rows at or below `after` that lie in these ranges: ascending, apart from each other.
        let gaps: [ClosedRange<Int64>]
        /// At most so many rows, those with the lowest ids.
        let limit: Int
        /// Larger rows come without their values.
        let rowBytes: Int32
        /// No row above this id has been read before.
        let seen: Int64
        /// Whether the statement looks into the gaps; otherwise they are to be looked into before the page is sent.
        var hasGaps = true
        /// Whether it looks into gaps alone.
        var isLook = false
        fileprivate let epoch: UInt64

        /// Whether the statement looks at a part of the ids only.
        var isSlice: Bool { upTo != .max }
        /// Whether it may be asked for fewer ids.
        var isDivisible: Bool {
            isSlice && upTo - max(after, 0) > SliceWidth.least || GapLook.width(gaps) > SliceWidth.least
        }
    }

    /// All rows up to here have been read, except those in gaps.
    private(set) var position = Int64.min
    /// The highest id ever read. Below it gaps are known already, so a second pass finds no new ones.
    private(set) var highest = Int64.min
    private(set) var gaps = GapTracker()

    /// Up to here ids were drawn before the first page was read: they are looked at in slices.
    private var frontier = Int64.min
    /// Nobody can fill a gap up to here.
    private var settled = Int64.min
    private var slice = SliceWidth()
    private var look: GapLook?
    private var gapSlice = SliceWidth()
    /// Rows up to here may be on their way, whatever was read since.
    private var known = Int64.min
    private var requests: UInt64 = 0
    private var epoch: UInt64 = 0

    private var backlog: Int64?
    private var sweep: Int64?
    private var backgroundSlice = SliceWidth()
    private var backgroundEpoch: UInt64 = 0
    private var wasBacklogLast = false

    /// Whether the cursor is in ground that it has covered before.
    var isRescanning: Bool { position < highest }
    /// Whether rows below the position are being looked at.
    var hasBackground: Bool { backlog != nil || sweep != nil }
    /// Where the scan of the backlog stands, while it is under way.
    var backlogPosition: Int64? { backlog }
    private var seen: Int64 { max(highest, known) }

    /// Before the first page.
    ///
    /// - Parameters:
    ///   - frontier: the highest id that has been drawn.
    ///   - hasWriters: whether any transaction, asked for after `frontier`, may still commit rows at or below it.
    ///     Whoever drew one of those ids and is not among them has committed: each page to come shows its rows.
    mutating func begin(frontier: Int64, hasWriters: Bool) {
        self.frontier = frontier
        settled = hasWriters ? .min : frontier
    }

    /// The next page of new rows. It may be asked for as soon as the page before was taken.
    mutating func nextRequest(limit: Int, rowBytes: Int32 = .max) -> Request {
        requests += 1
        let upTo = position < frontier ? min(frontier, slice.end(after: position)) : .max
        let ranges = gaps.ranges(upTo: position)
        let isWide = GapLook.width(ranges) > min(GapLook.mostOfAPage, gapSlice.ids)
        return Request(
            number: requests, scan: .forward, after: position, upTo: upTo, gaps: isWide ? [] : ranges,
            limit: limit, rowBytes: rowBytes, seen: seen, hasGaps: !isWide, epoch: epoch)
    }

    /// The page was taken: whether gaps may have to be looked into before its rows are sent. Then the holders have to
    /// be asked for, and ``beginLook(before:)`` is next.
    func needsLook(before request: Request, isEmpty: Bool) -> Bool {
        guard isCurrent(request) else { return false }
        if request.scan == .forward { return !request.hasGaps && (!isEmpty || gaps.hasNews) }
        return !isEmpty && !gaps.ranges(upTo: request.after).isEmpty
    }

    /// The holders were asked for after the page was read.
    mutating func beginLook(before request: Request) {
        let ranges = gaps.openRanges(upTo: request.after)
        look = ranges.isEmpty ? nil : GapLook(ranges, upTo: request.after, first: requests + 1)
    }

    /// Whether the look has to begin anew, though a slice of it has shown rows. The holders were asked for twice since.
    ///
    /// One that has ended meanwhile may have left rows in what was looked into before, or was not to be looked into,
    /// and younger ones in this slice. One that is there both times had committed nothing when the slice was read: a
    /// holder that is letting go of its locks while it is asked for is gone the next time.
    var isLookOutdated: Bool { look.map { gaps.hasNews(since: $0.first) } ?? false }

    /// The next slice of the gaps; nil when all are looked into, or when the cursor was rewound.
    mutating func nextLook(limit: Int, rowBytes: Int32 = .max) -> Request? {
        guard let look else { return nil }
        requests += 1
        return Request(
            number: requests, scan: .forward, after: look.upTo, upTo: look.upTo, gaps: look.slice(of: gapSlice.ids),
            limit: limit, rowBytes: rowBytes, seen: seen, isLook: true, epoch: epoch)
    }

    private mutating func takeLook(_ ids: [Int64], _ isFull: Bool, _ request: Request) {
        for id in ids { gaps.fill(id) }
        look?.pass(isFull ? ids.last ?? .min : request.gaps.last?.upperBound ?? .max)
        guard let look, look.left.isEmpty else { return }
        gaps.probed(upTo: look.upTo, by: look.first)
        self.look = nil
    }

    /// The next page of the backlog or the sweep; nil when there is nothing to look at.
    mutating func nextBackgroundRequest(limit: Int, rowBytes: Int32 = .max) -> Request? {
        let scan: Scan
        if backlog != nil && (sweep == nil || !wasBacklogLast) { scan = .backlog } else { scan = .sweep }
        guard let after = scan == .backlog ? backlog : sweep else { return nil }
        wasBacklogLast = scan == .backlog
        requests += 1
        // Never ahead of the forward scan: after a rewind it is the one to send what comes again.
        return Request(
            number: requests, scan: scan, after: after, upTo: min(backgroundSlice.end(after: after), position),
            gaps: [], limit: limit, rowBytes: rowBytes, seen: seen, epoch: epoch &+ backgroundEpoch << 32)
    }

    /// The page has arrived: the cursor moves behind it.
    ///
    /// - Parameters:
    ///   - ids: of all its rows, ascending.
    ///   - isFull: there may be more rows where it looked.
    /// - Returns: false when the cursor was rewound in between: the page is to be dropped, its rows will come again.
    mutating func take(_ ids: [Int64], isFull: Bool, of request: Request) -> Bool {
        guard isCurrent(request) else { return false }
        switch request.scan {
        case .forward where request.isLook: takeLook(ids, isFull, request)
        case .forward: takeForward(ids, isFull, request)
        case .backlog: backlog = isFull ? ids.last ?? request.after : max(request.after, request.upTo)
        case .sweep: sweep = isFull ? ids.last ?? request.after : max(request.after, request.upTo)
        }
        return true
    }

    private mutating func takeForward(_ ids: [Int64], _ isFull: Bool, _ request: Request) {
        for id in ids {
            if id <= highest { gaps.fill(id) } else { pass(upTo: id - 1, reaching: id) }
        }
        let last = max(request.after, ids.last ?? request.after)
        if isFull {
            position = max(position, last)
        } else if request.isSlice {
            // Rows that are not visible yet may lie behind the last one.
            if request.upTo > highest { pass(upTo: request.upTo, reaching: request.upTo) }
            position = max(position, request.upTo)
        } else {
            // It shows all there is: the cursor need not step over the dead rows behind it again.
            position = max(position, last, highest)
        }
        if !request.hasGaps { return }
        // A full page may have left out the last of the gaps; what lies behind its last row was not looked at.
        let probed = isFull ? min(request.after, ids.last ?? request.after) : request.after
        gaps.probed(upTo: probed, by: request.number)
    }

    /// Nothing was visible above the highest id up to this one.
    private mutating func pass(upTo id: Int64, reaching reached: Int64) {
        let low = max(highest, settled)
        if id > low { gaps.notice(low + 1...id) }
        highest = reached
    }

    /// The page's rows were sent or left behind.
    ///
    /// - Returns: whether its scan, when it is not the forward one, has come to its end.
    mutating func finish(_ request: Request) -> Bool {
        switch request.scan {
        case .forward: return false
        case .backlog:
            guard let backlog, backlog >= position else { return false }
            self.backlog = nil
        case .sweep:
            guard let sweep, sweep >= position else { return false }
            self.sweep = nil
        }
        return true
    }

    /// The page was not produced to its end: its rows come again.
    mutating func putBack(_ ids: [Int64], of request: Request) {
        guard let first = ids.first else { return }
        switch request.scan {
        case .forward: rewind(to: first)
        case .backlog: serveBacklog(from: first)
        case .sweep: if let place = sweep { sweep = min(place, first - 1) }
        }
    }

    /// Whether the page's rows may be sent: not after a rewind, as older rows of their keys may have been left behind.
    func isCurrent(_ request: Request) -> Bool {
        request.epoch == (request.scan == .forward ? epoch : epoch &+ backgroundEpoch << 32)
    }

    /// Goes back, if need be, so that the row with this id is read again.
    mutating func rewind(to id: Int64) {
        epoch += 1
        look = nil
        position = min(position, id == .min ? .min : id - 1)
    }

    /// Other rows are in the place of those that were read: all are read from the lowest on.
    ///
    /// - Parameter knowsRows: those that are on their way may be among them; otherwise ids mean other rows now.
    mutating func restart(knowsRows: Bool) {
        let (requests, epoch, seen) = (requests, epoch, seen)
        self = ScanCursor()
        self.requests = requests
        self.epoch = epoch + 1
        if knowsRows { known = seen }
    }

    /// Rows from this id on were left behind and may be sent now.
    mutating func serveBacklog(from id: Int64) {
        if let backlog, backlog < id { return }
        if backlog != nil { backgroundEpoch += 1 }
        backlog = id - 1
    }

    /// Nothing that was left behind may be sent.
    mutating func stopBacklog() {
        if backlog != nil { backgroundEpoch += 1 }
        backlog = nil
    }

    /// Looks at all rows below the position once.
    mutating func startSweep() {
        if sweep == nil { sweep = .min }
    }

    /// How long the page's statement took.
    mutating func took(_ duration: Duration, for request: Request) {
        if !request.gaps.isEmpty { gapSlice.took(duration) }
        guard request.isSlice, !request.isLook else { return }
        if request.scan == .forward { slice.took(duration) } else { backgroundSlice.took(duration) }
    }

    /// What `pg_locks` said: who may still commit rows into the gaps that were noticed before it was asked.
    mutating func lockHolders(_ holders: LockHolders) {
        gaps.lockHolders(holders, nextRequest: requests + 1)
    }
}

/// How many ids a statement looks at: few where it has to step over many dead rows.
struct SliceWidth: Equatable {
    private(set) var ids: Int64 = 1 << 16

    /// Statements that take longer look at fewer ids the next time.
    static let longest = Duration.milliseconds(200)
    private static let quick = Duration.milliseconds(20)
    /// Of no fewer.
    static let least: Int64 = 1 << 10
    private static let most: Int64 = 1 << 60

    /// The last id of the slice; ids begin at 1 as a rule.
    func end(after id: Int64) -> Int64 {
        let (sum, overflow) = max(id, 0).addingReportingOverflow(ids)
        return id < 0 && id != .min ? 0 : overflow ? .max - 1 : min(sum, .max - 1)
    }

    /// - Parameter duration: of one statement.
    mutating func took(_ duration: Duration) {
        if duration > Self.longest {
            ids = max(Self.least, ids >> (duration > Self.longest * 4 ? 6 : 2))
        } else if duration < Self.quick {
            ids = min(Self.most, ids << 2)
        }
    }
}
