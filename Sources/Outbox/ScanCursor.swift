/// The position of the relay in the outbox: a cursor over ids, and the gaps below it that transactions may still fill.
///
/// A row receives its id before its transaction commits, so rows do not become visible in the order of their ids. A
/// cursor alone would skip the row of a transaction that is still running.
/// Reading from the lowest id each time would find all rows. But it must step over all dead rows that vacuum cannot
/// remove yet, and becomes slower while any transaction in the cluster stays open. Therefore each page consists of
///
///     rows with id > position          new rows
///     + rows inside the gaps           rows that became visible late
///
/// One statement reads both, in one snapshot and in the order of ids. A row that became visible late is therefore
/// published before younger rows of its key in the same snapshot.
///
/// `position` does not mean that rows below it are published. ``rewind(to:)`` goes back when rows have to be sent
/// again. ``FlightTable`` recognises rows that are already in flight.
///
/// Two further scans read rows below the position. They alternate with the forward scan, one page each, so new rows
/// never wait for them. The backlog scan reads rows that were left in the outbox because they might not be sent (see
/// ``SendAdmission``). The sweep reads rows whose ids no gap announced.
///
/// No statement reads more of the index than a slice of ids, because millions of dead rows may lie there. If the gaps
/// are too wide for a page's statement, the page is read without them. Before its rows are sent, the gaps are read in
/// slices of their own (``GapLook``). Their later snapshots contain everything that the page's snapshot could show in
/// the gaps. The gaps below a page of the backlog or the sweep are read in the same way before its rows are sent.
///
/// This is a pure value: it neither reads nor waits.
struct ScanCursor {
    /// The kind of rows of a page.
    enum Scan: Sendable {
        /// New rows.
        case forward
        /// Rows that were left in the outbox.
        case backlog
        /// All rows.
        case sweep
    }

    /// A request for one page.
    struct Request: Equatable, Sendable {
        /// The number of the request: 1, 2, …
        let number: UInt64
        let scan: Scan
        /// The page contains the rows above this id
        let after: Int64
        /// and up to this id, and
        let upTo: Int64
        /// the rows at or below `after` in these ranges, which ascend and do not overlap.
        let gaps: [ClosedRange<Int64>]
        /// Maximum number of rows. The rows with the lowest ids are read.
        let limit: Int
        /// The statement returns larger rows without their values.
        let rowBytes: Int32
        /// The highest id that was read before.
        let seen: Int64
        /// Whether the statement also reads the gaps. Otherwise they must be read before the page is sent.
        var hasGaps = true
        /// Whether it reads only gaps.
        var isLook = false
        fileprivate let epoch: UInt64

        /// Whether the statement reads only a part of the ids.
        var isSlice: Bool { upTo != .max }
        /// Whether the request may be repeated with fewer ids.
        var isDivisible: Bool {
            isSlice && upTo - max(after, 0) > SliceWidth.least || GapLook.width(gaps) > SliceWidth.least
        }
    }

    /// All rows up to this id were read, except those in gaps.
    private(set) var position = Int64.min
    /// The highest id ever read. The gaps below it are known, so a second pass finds no new ones.
    private(set) var highest = Int64.min
    private(set) var gaps = GapTracker()

    /// The highest id that was drawn before the first page was read. Ids up to it are read in slices.
    private var frontier = Int64.min
    /// No transaction can fill a gap up to this id.
    private var settled = Int64.min
    private var slice = SliceWidth()
    private var look: GapLook?
    private var gapSlice = SliceWidth()
    /// Rows up to this id may be in flight, even if the cursor went back.
    private var known = Int64.min
    private var requests: UInt64 = 0
    private var epoch: UInt64 = 0

    private var backlog: Int64?
    private var sweep: Int64?
    private var backgroundSlice = SliceWidth()
    private var backgroundEpoch: UInt64 = 0
    private var wasBacklogLast = false

    /// Whether the cursor reads ids that it has read before.
    var isRescanning: Bool { position < highest }
    /// Whether a scan reads rows below the position.
    var hasBackground: Bool { backlog != nil || sweep != nil }
    /// The position of the backlog scan while it runs.
    var backlogPosition: Int64? { backlog }
    private var seen: Int64 { max(highest, known) }

    /// The state before the first page.
    ///
    /// - Parameters:
    ///   - frontier: the highest id that has been drawn.
    ///   - hasWriters: whether any transaction, asked for after `frontier`, may still commit rows at or below it.
    ///     A transaction that drew one of those ids and is not among them has committed, so later pages show its rows.
    mutating func begin(frontier: Int64, hasWriters: Bool) {
        self.frontier = frontier
        settled = hasWriters ? .min : frontier
    }

    /// The next page of new rows. The caller may request it after it has taken the previous page.
    mutating func nextRequest(limit: Int, rowBytes: Int32 = .max) -> Request {
        requests += 1
        let upTo = position < frontier ? min(frontier, slice.end(after: position)) : .max
        let ranges = gaps.ranges(upTo: position)
        let isWide = GapLook.width(ranges) > min(GapLook.mostOfAPage, gapSlice.ids)
        return Request(
            number: requests, scan: .forward, after: position, upTo: upTo, gaps: isWide ? [] : ranges,
            limit: limit, rowBytes: rowBytes, seen: seen, hasGaps: !isWide, epoch: epoch)
    }

    /// Whether the gaps below a page that was taken may have to be read before its rows are sent. The caller must then
    /// query the holders of the lock and call ``beginLook(before:)``.
    func needsLook(before request: Request, isEmpty: Bool) -> Bool {
        guard isCurrent(request) else { return false }
        if request.scan == .forward { return !request.hasGaps && (!isEmpty || gaps.hasNews) }
        return !isEmpty && !gaps.ranges(upTo: request.after).isEmpty
    }

    /// Begins reading the gaps. The caller has queried the holders after the page was read.
    mutating func beginLook(before request: Request) {
        let ranges = gaps.openRanges(upTo: request.after)
        look = ranges.isEmpty ? nil : GapLook(ranges, upTo: request.after, first: requests + 1)
    }

    /// Whether the reading of gaps must begin again, because of rows in the last slice. The caller has queried the
    /// holders twice since that slice was read.
    ///
    /// A holder that has ended in the meantime may have left rows in gaps that were read before or were not to be read,
    /// and younger rows in this slice. A holder that is listed in both queries had committed nothing when the slice was
    /// read: the second query no longer lists a holder that was releasing its locks during the first.
    var isLookOutdated: Bool { look.map { gaps.hasNews(since: $0.first) } ?? false }

    /// The next slice of the gaps; nil if all were read or the cursor was rewound.
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

    /// The next page of the backlog or the sweep; nil if no such scan runs.
    mutating func nextBackgroundRequest(limit: Int, rowBytes: Int32 = .max) -> Request? {
        let scan: Scan
        if backlog != nil && (sweep == nil || !wasBacklogLast) { scan = .backlog } else { scan = .sweep }
        guard let after = scan == .backlog ? backlog : sweep else { return nil }
        wasBacklogLast = scan == .backlog
        requests += 1
        // It never reads ahead of the forward scan. After a rewind, the forward scan must send the repeated rows.
        return Request(
            number: requests, scan: scan, after: after, upTo: min(backgroundSlice.end(after: after), position),
            gaps: [], limit: limit, rowBytes: rowBytes, seen: seen, epoch: epoch &+ backgroundEpoch << 32)
    }

    /// Moves the cursor behind a page that was read.
    ///
    /// - Parameters:
    ///   - ids: the ids of all its rows, ascending.
    ///   - isFull: whether there may be more rows in the range of the request.
    /// - Returns: false if the cursor was rewound in the meantime. The caller must drop the page; its rows are read
    ///   again.
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
            // The page shows all rows, so the cursor need not step over the dead rows behind the last one again.
            position = max(position, last, highest)
        }
        if !request.hasGaps { return }
        // A full page may not contain the last gaps, because its statement stops at its last row.
        let probed = isFull ? min(request.after, ids.last ?? request.after) : request.after
        gaps.probed(upTo: probed, by: request.number)
    }

    /// Notes that no row was visible above the highest id up to this one.
    private mutating func pass(upTo id: Int64, reaching reached: Int64) {
        let low = max(highest, settled)
        if id > low { gaps.notice(low + 1...id) }
        highest = reached
    }

    /// Notes that the page's rows were sent or left in the outbox.
    ///
    /// - Returns: whether a backlog scan or a sweep has ended.
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

    /// Notes that the page was not completely produced. Its rows are read again.
    mutating func putBack(_ ids: [Int64], of request: Request) {
        guard let first = ids.first else { return }
        switch request.scan {
        case .forward: rewind(to: first)
        case .backlog: serveBacklog(from: first)
        case .sweep: if let place = sweep { sweep = min(place, first - 1) }
        }
    }

    /// Whether the page's rows may be sent. After a rewind they may not, because older rows of their keys must be sent
    /// first.
    func isCurrent(_ request: Request) -> Bool {
        request.epoch == (request.scan == .forward ? epoch : epoch &+ backgroundEpoch << 32)
    }

    /// Goes back, if necessary, so that the row with this id is read again.
    mutating func rewind(to id: Int64) {
        epoch += 1
        look = nil
        position = min(position, id == .min ? .min : id - 1)
    }

    /// Begins again at the lowest id, because the table was replaced or its ids were reset.
    ///
    /// - Parameter knowsRows: whether the rows in flight may still be in the table. Otherwise the ids denote other rows
    ///   now.
    mutating func restart(knowsRows: Bool) {
        let (requests, epoch, seen) = (requests, epoch, seen)
        self = ScanCursor()
        self.requests = requests
        self.epoch = epoch + 1
        if knowsRows { known = seen }
    }

    /// Begins a backlog scan at this id: rows that were left in the outbox may be sent now.
    mutating func serveBacklog(from id: Int64) {
        if let backlog, backlog < id { return }
        if backlog != nil { backgroundEpoch += 1 }
        backlog = id - 1
    }

    /// Ends the backlog scan, because no row that was left in the outbox may be sent.
    mutating func stopBacklog() {
        if backlog != nil { backgroundEpoch += 1 }
        backlog = nil
    }

    /// Begins a sweep: reads all rows below the position once.
    mutating func startSweep() {
        if sweep == nil { sweep = .min }
    }

    /// Adapts the slice width to the duration of the page's statement.
    mutating func took(_ duration: Duration, for request: Request) {
        if !request.gaps.isEmpty { gapSlice.took(duration) }
        guard request.isSlice, !request.isLook else { return }
        if request.scan == .forward { slice.took(duration) } else { backgroundSlice.took(duration) }
    }

    /// Notes which transactions may still commit rows into the gaps that were known before the query.
    mutating func lockHolders(_ holders: LockHolders) {
        gaps.lockHolders(holders, nextRequest: requests + 1)
    }
}

/// The number of ids that a statement reads. It is small where the statement must step over many dead rows.
struct SliceWidth: Equatable {
    private(set) var ids: Int64 = 1 << 16

    /// If a statement takes longer, the next one reads fewer ids.
    static let longest = Duration.milliseconds(200)
    private static let quick = Duration.milliseconds(20)
    /// The minimum number of ids.
    static let least: Int64 = 1 << 10
    private static let most: Int64 = 1 << 60

    /// The last id of the slice. Ids usually begin at 1.
    func end(after id: Int64) -> Int64 {
        let (sum, overflow) = max(id, 0).addingReportingOverflow(ids)
        return id < 0 && id != .min ? 0 : overflow ? .max - 1 : min(sum, .max - 1)
    }

    /// - Parameter duration: the duration of one statement.
    mutating func took(_ duration: Duration) {
        if duration > Self.longest {
            ids = max(Self.least, ids >> (duration > Self.longest * 4 ? 6 : 2))
        } else if duration < Self.quick {
            ids = min(Self.most, ids << 2)
        }
    }
}
