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
/// `position` never means "done". ``rewind()`` goes back to the lowest row at any time (start, operators' retries, the
/// regular sweep, a producer that had to be replaced); rows that are on their way already are told apart by
/// ``FlightTable``.
///
/// A pure value: it neither reads nor waits.
struct ScanCursor {
    /// One page to be read.
    struct Request: Equatable, Sendable {
        /// 1, 2, … in the order of reading.
        let number: UInt64
        /// Rows above this id, and
        let after: Int64
        /// the rows at or below it that lie in these ranges: ascending, apart from each other.
        let gaps: [ClosedRange<Int64>]
        /// At most so many rows, those with the lowest ids.
        let limit: Int
        /// No row above this id has been read before.
        let seen: Int64
        fileprivate let epoch: UInt64
    }

    /// All rows up to here have been read, except those in gaps.
    private(set) var position = Int64.min
    /// The highest id ever read. Below it gaps are known already, so a second pass finds no new ones.
    private(set) var highest = Int64.min
    private(set) var gaps = GapTracker()

    private var requests: UInt64 = 0
    private var epoch: UInt64 = 0

    /// Whether the cursor is in ground that it has covered before.
    var isRescanning: Bool { position < highest }

    /// The next page. One is read at a time; it may be asked for as soon as the one before was taken.
    mutating func nextRequest(limit: Int) -> Request {
        requests += 1
        return Request(
            number: requests, after: position, gaps: gaps.ranges(upTo: position), limit: limit, seen: highest,
            epoch: epoch)
    }

    /// The page has arrived: the cursor moves behind it.
    ///
    /// - Parameter ids: of all its rows, ascending.
    /// - Returns: false when the cursor was rewound in between: the page is to be dropped, its rows will come again.
    mutating func take(_ ids: [Int64], of request: Request) -> Bool {
        guard isCurrent(request) else { return false }
        var previous = request.after
        for id in ids {
            if id <= highest {
                gaps.fill(id)
            } else {
                let low = max(previous, highest)
                if id - 1 > low { gaps.notice(low + 1...id - 1) }
                highest = id
            }
            previous = max(previous, id)
        }
        // A page that is not full shows all there is: the cursor need not step over the dead rows behind it again.
        position = max(position, ids.count < request.limit ? max(previous, highest) : previous)
        // A full page may have left out the last of the gaps; what lies behind its last row was not looked at.
        let probed = ids.count < request.limit ? request.after : min(request.after, ids.last ?? request.after)
        gaps.probed(upTo: probed, by: request.number)
        return true
    }

    /// Whether the page's rows may be sent: not after a rewind, as older rows of their keys may have been left behind.
    func isCurrent(_ request: Request) -> Bool { request.epoch == epoch }

    /// Goes back to the lowest row.
    mutating func rewind() {
        epoch += 1
        position = Int64.min
    }

    /// What `pg_locks` said: who may still commit rows into the gaps that were noticed before it was asked.
    mutating func lockHolders(_ holders: Set<String>) {
        gaps.lockHolders(holders, nextRequest: requests + 1)
    }
}
