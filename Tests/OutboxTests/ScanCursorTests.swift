import Testing

@testable import Outbox

/// A table as a snapshot shows it, to drive the cursor with.
private struct Table {
    var visible: Set<Int64> = []

    func page(_ request: ScanCursor.Request) -> [Int64] {
        let rows = visible.filter { id in
            id > request.after && id <= request.upTo || request.gaps.contains { $0.contains(id) }
        }
        return Array(rows.sorted().prefix(request.limit))
    }
}

@Suite struct ScanCursorTests {
    private var cursor = ScanCursor()
    private var table = Table()

    private mutating func read(limit: Int = 100) -> [Int64] {
        let request = cursor.nextRequest(limit: limit)
        let ids = table.page(request)
        #expect(outcome(cursor.take(ids, isFull: ids.count == request.limit, of: request)))
        return ids
    }

    @Test mutating func eachRowIsReadOnce() {
        table.visible = [1, 2, 3]
        #expect(read() == [1, 2, 3])
        table.visible.formUnion([4, 5])
        #expect(read() == [4, 5])
        #expect(read() == [])
    }

    @Test mutating func lateRowComesBeforeYoungerOnes() {
        table.visible = [1, 2, 4]
        #expect(read() == [1, 2, 4])
        table.visible.formUnion([3, 5])
        #expect(read() == [3, 5])
        #expect(cursor.nextRequest(limit: 1).gaps.contains { $0.contains(3) } == false)
    }

    @Test mutating func gapOfRunningTransactionIsKeptUntilItsRowIsThere() {
        table.visible = [1, 3]
        _ = read()
        cursor.lockHolders(LockHolders(running: ["4/7"]))
        for _ in 0..<3 {
            #expect(read() == [])
            cursor.lockHolders(LockHolders(running: ["4/7", "5/1"]))
        }
        table.visible.insert(2)
        #expect(read() == [2])
        #expect(cursor.gaps.ranges(upTo: 10) == [Int64.min + 1...0])
    }

    @Test mutating func gapOfRolledBackTransactionIsForgottenAfterOneMoreLook() {
        table.visible = [1, 3]
        _ = read()
        cursor.lockHolders(LockHolders(running: ["4/7"]))
        _ = read()
        cursor.lockHolders(LockHolders(running: []))
        #expect(!cursor.gaps.isEmpty, "the holder may have committed just before it let go of the lock")
        _ = read()
        #expect(cursor.gaps.isEmpty)
    }

    @Test mutating func rowCommittedJustBeforeTheLockWasReleasedIsRead() {
        table.visible = [1, 3]
        _ = read()
        cursor.lockHolders(LockHolders(running: ["4/7"]))
        cursor.lockHolders(LockHolders(running: []))
        table.visible.insert(2)
        #expect(read() == [2])
        #expect(cursor.gaps.isEmpty)
    }

    @Test mutating func pageAskedForBeforeTheLockWasDoesNotForget() {
        table.visible = [1, 3]
        _ = read()
        let early = cursor.nextRequest(limit: 10)
        cursor.lockHolders(LockHolders(running: []))
        #expect(outcome(cursor.take([], isFull: false, of: early)))
        #expect(!cursor.gaps.isEmpty)
        _ = read()
        #expect(cursor.gaps.isEmpty)
    }

    @Test mutating func unrelatedHoldersThatCameLaterDoNotKeepAGap() {
        table.visible = [1, 3]
        _ = read()
        cursor.lockHolders(LockHolders(running: ["4/7"]))
        cursor.lockHolders(LockHolders(running: ["9/9"]))
        _ = read()
        #expect(cursor.gaps.isEmpty)
    }

    @Test mutating func fullPageDoesNotForgetGapsBehindItsLastRow() {
        table.visible = [1, 5, 9]
        _ = read()
        cursor.lockHolders(LockHolders(running: []))
        table.visible.formUnion([2, 3])
        #expect(read(limit: 2) == [2, 3])
        #expect(cursor.gaps.ranges(upTo: 100).contains { $0.contains(4) })
        #expect(cursor.gaps.ranges(upTo: 100).contains { $0.contains(7) })
        #expect(read(limit: 2) == [])
        #expect(cursor.gaps.isEmpty)
    }

    @Test mutating func smallPagesAdvance() {
        table.visible = Set(1...10)
        var all: [Int64] = []
        while true {
            let ids = read(limit: 3)
            if ids.isEmpty { break }
            all += ids
        }
        #expect(all == Array(1...10))
    }

    @Test mutating func rewindReadsAllAgainAndNoticesNoGapTwice() {
        table.visible = [1, 4, 8]
        _ = read()
        cursor.lockHolders(LockHolders(running: []))
        _ = read()
        #expect(cursor.gaps.isEmpty)
        cursor.rewind(to: .min)
        #expect(cursor.isRescanning)
        #expect(read(limit: 2) == [1, 4])
        #expect(cursor.isRescanning)
        table.visible.insert(20)
        #expect(read() == [8, 20])
        #expect(!cursor.isRescanning)
        #expect(cursor.gaps.ranges(upTo: 100) == [9...19])
    }

    @Test mutating func emptySweepEndsWhereItBegan() {
        table.visible = [5]
        _ = read()
        table.visible = []
        cursor.rewind(to: .min)
        #expect(read() == [])
        #expect(!cursor.isRescanning, "else each look would step over all dead rows")
        let next = cursor.nextRequest(limit: 1)
        #expect(next.after == 5)
    }

    @Test mutating func rowWithAnUnexpectedIDIsFoundByTheSweep() {
        table.visible = [10]
        _ = read()
        cursor.lockHolders(LockHolders(running: []))
        _ = read()
        table.visible = [3]
        #expect(read() == [], "no gap foretold it")
        cursor.startSweep()
        #expect(background(5) == [3])
    }

    @Test mutating func openGapAheadOfARewoundCursorIsKept() {
        table.visible = [1, 2, 5]
        _ = read()
        cursor.rewind(to: .min)
        cursor.lockHolders(LockHolders(running: []))
        #expect(read(limit: 2) == [1, 2])
        #expect(!cursor.gaps.isEmpty, "3 and 4 were not looked at by this page")
        table.visible.insert(4)
        #expect(read() == [4, 5])
    }

    @Test mutating func pageThatWasAskedForBeforeARewindIsDropped() {
        table.visible = [1, 2]
        let request = cursor.nextRequest(limit: 10)
        cursor.rewind(to: .min)
        #expect(!outcome(cursor.take([1, 2], isFull: false, of: request)))
        #expect(read() == [1, 2])
    }

    @Test mutating func manyGapsAreJoinedAndNoneIsLost() {
        let ids = stride(from: Int64(1), through: 2_001, by: 2)
        table.visible = Set(ids)
        _ = read(limit: 5_000)
        let ranges = cursor.nextRequest(limit: 1).gaps
        #expect(ranges.count == GapTracker.maximumRanges)
        for missing in stride(from: Int64(2), through: 2_000, by: 2) {
            #expect(ranges.contains { $0.contains(missing) })
        }
        for (left, right) in zip(ranges, ranges.dropFirst()) { #expect(left.upperBound < right.lowerBound) }
    }

    @Test mutating func longTransactionDoesNotPileUpGroups() {
        for step in Int64(0)..<200 {
            table.visible = [step * 2 + 1]
            _ = read()
            cursor.lockHolders(LockHolders(running: ["1/1"]))
        }
        cursor.lockHolders(LockHolders(running: []))
        _ = read()
        #expect(cursor.gaps.isEmpty)
    }

    @Test mutating func memoryOfGapsIsBoundedWhileATransactionStaysOpen() {
        // An hour of another shard's rows, one between any two of ours.
        var request = cursor.nextRequest(limit: 1_000)
        for page in Int64(0)..<400 {
            let ids = (Int64(1)...1_000).map { 2 * (page * 1_000 + $0) }
            #expect(outcome(cursor.take(ids, isFull: true, of: request)))
            cursor.lockHolders(LockHolders(running: ["1/1"]))
            request = cursor.nextRequest(limit: 1_000)
        }
        #expect(cursor.gaps.count <= 2 * GapTracker.maximumKept)
        for missing: Int64 in [1, 399_999, 799_999] {
            #expect(request.gaps.contains { $0.contains(missing) }, "\(missing) may still appear")
        }
    }

    // MARK: who may fill a gap

    @Test mutating func preparedTransactionKeepsItsGap() {
        table.visible = [2]
        _ = read()
        cursor.lockHolders(LockHolders(running: ["4/7"]))
        // PREPARE TRANSACTION: the lock goes on under another name.
        cursor.lockHolders(LockHolders(prepared: ["-1/731"]))
        for _ in 0..<3 { #expect(read() == []) }
        cursor.lockHolders(LockHolders(prepared: ["-1/731", "-1/800"]))
        #expect(read() == [])
        table.visible.insert(1)
        cursor.lockHolders(LockHolders(prepared: ["-1/800"]))
        #expect(read() == [1])
        #expect(cursor.gaps.isEmpty)
    }

    @Test mutating func transactionPreparedByOthersKeepsNoGap() {
        table.visible = [2]
        _ = read()
        cursor.lockHolders(LockHolders(running: ["4/7"]))
        cursor.lockHolders(LockHolders(running: ["4/7"], prepared: ["-1/9"]))
        cursor.lockHolders(LockHolders(running: ["5/1"]))
        _ = read()
        #expect(cursor.gaps.isEmpty)
    }

    // MARK: slices

    @Test mutating func whatWasDrawnBeforeTheStartIsReadInSlices() {
        let last: Int64 = 10_000_000
        table.visible = [3, last - 1]
        cursor.begin(frontier: last, hasWriters: false)
        var widest: Int64 = 0
        var all: [Int64] = []
        var pages = 0
        while true {
            let request = cursor.nextRequest(limit: 100)
            guard request.isSlice else { break }
            pages += 1
            widest = max(widest, request.upTo - max(0, request.after))
            let ids = table.page(request)
            #expect(outcome(cursor.take(ids, isFull: false, of: request)))
            cursor.took(.milliseconds(100), for: request)
            all += ids
        }
        #expect(all == [3, last - 1])
        #expect(widest == SliceWidth().ids)
        #expect(pages == Int((last + widest - 1) / widest))
        #expect(cursor.gaps.isEmpty, "nobody can fill them")
        #expect(cursor.position == last)
    }

    @Test mutating func gapsOfTheStartAreKeptWhileSomebodyMayFillThem() {
        cursor.begin(frontier: 1_000_000, hasWriters: true)
        table.visible = [5]
        for _ in 0..<40 where cursor.position < 1_000_000 { _ = read() }
        #expect(cursor.position == 1_000_000)
        cursor.lockHolders(LockHolders(running: ["1/1"]))
        table.visible = [900_000]
        #expect(read() == [900_000])
    }

    @Test func slicesFollowTheTimeThatTheyTake() {
        var slice = SliceWidth()
        let first = slice.ids
        slice.took(.milliseconds(1))
        #expect(slice.ids == 4 * first)
        slice.took(.milliseconds(100))
        #expect(slice.ids == 4 * first)
        slice.took(.milliseconds(300))
        #expect(slice.ids == first)
        slice.took(.seconds(30))
        #expect(slice.ids == first / 64)
        for _ in 0..<10 { slice.took(.seconds(30)) }
        #expect(slice.ids == SliceWidth.least)
        for _ in 0..<60 { slice.took(.zero) }
        #expect(slice.end(after: .max - 5) == .max - 1)
        #expect(slice.end(after: -7) == 0)
    }

    // MARK: what lies below the position

    @Test mutating func backlogIsReadUpToTheForwardScan() {
        table.visible = [2, 4, 6, 8]
        _ = read()
        #expect(cursor.nextBackgroundRequest(limit: 2) == nil)
        cursor.serveBacklog(from: 4)
        #expect(background(2) == [4, 6])
        table.visible.insert(9)
        #expect(read() == [9])
        #expect(background(2) == [8, 9])
        #expect(!cursor.hasBackground)
    }

    @Test mutating func backlogGoesBackForWhatWasLeftBehindIt() throws {
        table.visible = [2, 4, 6]
        _ = read()
        cursor.serveBacklog(from: 4)
        let stale = try backgroundRequest(1)
        cursor.serveBacklog(from: 2)
        #expect(!outcome(cursor.take([4], isFull: true, of: stale)))
        #expect(background(1) == [2])
        cursor.serveBacklog(from: 6)
        #expect(background(1) == [4], "it gets there anyway")
        cursor.stopBacklog()
        #expect(!cursor.hasBackground)
    }

    @Test mutating func backlogNeverOvertakesARewoundForwardScan() throws {
        table.visible = [2, 4, 6]
        _ = read()
        cursor.serveBacklog(from: 2)
        let stale = try backgroundRequest(5)
        cursor.rewind(to: 4)
        #expect(!outcome(cursor.take([2, 4, 6], isFull: false, of: stale)))
        #expect(background(5) == [2])
        #expect(!cursor.hasBackground, "the forward scan sends the others, in their order")
        #expect(read() == [4, 6])
    }

    @Test mutating func sweepAndBacklogTakeTurns() {
        table.visible = [1, 2, 3]
        _ = read()
        cursor.serveBacklog(from: 1)
        cursor.startSweep()
        var scans: [ScanCursor.Scan] = []
        while let request = cursor.nextBackgroundRequest(limit: 1) {
            let ids = table.page(request)
            #expect(outcome(cursor.take(ids, isFull: ids.count == 1, of: request)))
            _ = cursor.finish(request)
            scans.append(request.scan)
        }
        #expect(scans.prefix(4) == [.backlog, .sweep, .backlog, .sweep])
        #expect(!cursor.hasBackground)
    }

    @Test mutating func interruptedPageComesAgain() throws {
        table.visible = [1, 2, 3]
        let request = cursor.nextRequest(limit: 2)
        #expect(outcome(cursor.take([1, 2], isFull: true, of: request)))
        cursor.putBack([1, 2], of: request)
        #expect(read() == [1, 2, 3])
        cursor.serveBacklog(from: 2)
        let page = try backgroundRequest(5)
        #expect(outcome(cursor.take([2, 3], isFull: false, of: page)))
        cursor.putBack([2, 3], of: page)
        #expect(background(5) == [2, 3])
    }

    @Test mutating func idsThatBeginAnewAreReadFromTheLowestOn() {
        table.visible = [1_000]
        _ = read()
        cursor.lockHolders(LockHolders())
        _ = read()
        table.visible = [1]
        #expect(read() == [])
        cursor.restart(knowsRows: false)
        #expect(read() == [1])
        #expect(cursor.nextRequest(limit: 1).seen == 1, "row 1,000 is another one now")
        cursor.restart(knowsRows: true)
        #expect(cursor.nextRequest(limit: 1).seen == 1)
    }

    private mutating func backgroundRequest(_ limit: Int) throws -> ScanCursor.Request {
        let request = cursor.nextBackgroundRequest(limit: limit)
        return try #require(request)
    }

    private mutating func background(_ limit: Int) -> [Int64] {
        guard let request = cursor.nextBackgroundRequest(limit: limit) else {
            Issue.record("there is nothing to read")
            return []
        }
        let ids = table.page(request)
        #expect(outcome(cursor.take(ids, isFull: ids.count == limit, of: request)))
        _ = cursor.finish(request)
        return ids
    }

    /// Random transactions, some rolled back, some slow: every committed row is read exactly once, and rows of one key,
    /// whose transactions follow each other, in their order.
    @Test(arguments: 0..<40) func everyInterleavingReadsAllOnceInOrder(seed: UInt64) {
        var random = SplitMix(seed)
        var cursor = ScanCursor()
        var table = Table()
        struct Writer { let key: Int; let ids: [Int64]; let name: String }
        var running: [Writer] = []
        var nextID: Int64 = 1
        var committed: [Int: [Int64]] = [:]
        var seen: [Int64] = []
        var names = 0
        func step(_ limit: Int) {
            let request = cursor.nextRequest(limit: limit)
            let ids = table.page(request)
            let isCurrent = cursor.take(ids, isFull: ids.count == request.limit, of: request)
            #expect(isCurrent)
            seen += ids
            table.visible.subtract(ids)  // published and removed
        }
        for _ in 0..<600 {
            switch Int.random(in: 0..<6, using: &random) {
            case 0, 1:
                let key = Int.random(in: 0..<8, using: &random)
                guard !running.contains(where: { $0.key == key }) else { break }
                let ids = (0..<Int64.random(in: 1...3, using: &random)).map { nextID + $0 }
                nextID += Int64(ids.count)
                names += 1
                running.append(Writer(key: key, ids: ids, name: "1/\(names)"))
            case 2:
                guard let index = running.indices.randomElement(using: &random) else { break }
                let writer = running.remove(at: index)
                if Int.random(in: 0..<5, using: &random) > 0 {
                    table.visible.formUnion(writer.ids)
                    committed[writer.key, default: []] += writer.ids
                }
            case 3: cursor.lockHolders(LockHolders(running: Set(running.map(\.name))))
            default: step(Int.random(in: 1...6, using: &random))
            }
        }
        for writer in running { table.visible.formUnion(writer.ids); committed[writer.key, default: []] += writer.ids }
        for _ in 0..<400 { step(6) }
        #expect(seen.count == Set(seen).count)
        let order = Dictionary(uniqueKeysWithValues: seen.enumerated().map { ($1, $0) })
        for ids in committed.values {
            let places = ids.map { order[$0] ?? -1 }
            #expect(!places.contains(-1))
            #expect(places == places.sorted())
        }
    }
}

/// What a mutating call answered: `#expect` cannot take such a call itself.
func outcome(_ value: Bool) -> Bool { value }

struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
