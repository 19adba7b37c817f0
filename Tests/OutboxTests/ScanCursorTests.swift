import Testing

@testable import Outbox

@Suite struct ScanCursorTests: ScanSuite {
    var cursor = ScanCursor()
    var table = ScanTable()

    @Test mutating func eachRowIsReadOnce() {
        table.visible = [1, 2, 3]
        #expect(read() == [1, 2, 3])
        table.visible.formUnion([4, 5])
        #expect(read() == [4, 5])
        #expect(read() == [])
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
        #expect(!cursor.isRescanning, "otherwise each read of the gaps would step over all dead rows")
        let next = cursor.nextRequest(limit: 1)
        #expect(next.after == 5)
    }

    @Test mutating func rowWithAnUnexpectedIDIsFoundByTheSweep() {
        table.visible = [10]
        _ = read()
        cursor.lockHolders(LockHolders(running: []))
        _ = read()
        table.visible = [3]
        #expect(read() == [], "no gap announced it")
        cursor.startSweep()
        #expect(background(5) == [3])
    }

    @Test mutating func pageThatWasAskedForBeforeARewindIsDropped() {
        table.visible = [1, 2]
        let request = cursor.nextRequest(limit: 10)
        cursor.rewind(to: .min)
        #expect(!outcome(cursor.take([1, 2], isFull: false, of: request)))
        #expect(read() == [1, 2])
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
        #expect(cursor.gaps.isEmpty, "no transaction can fill them")
        #expect(cursor.position == last)
    }

    @Test mutating func gapsOfTheStartAreKeptWhileSomebodyMayFillThem() {
        cursor.begin(frontier: 1_000_000, hasWriters: true)
        table.visible = [5]
        for _ in 0..<40 where cursor.position < 1_000_000 { _ = read() }
        #expect(cursor.position == 1_000_000)
        cursor.lockHolders(LockHolders(running: ["1/1"]))
        table.visible = [900_000, 1_000_001]
        #expect(readWithLook().rows == [900_000, 1_000_001])
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

    /// Runs random transactions, of which some are slow and some are rolled back. Every committed row is read exactly
    /// once. The transactions of a key never overlap, and its rows are read in commit order.
    @Test(arguments: 0..<40, [1, 3_000, 50_000] as [Int64])
    func everyInterleavingReadsAllOnceInOrder(seed: UInt64, stride: Int64) {
        var run = Interleaving(seed: seed, stride: stride)
        for _ in 0..<800 { run.step() }
        run.finish()
        if stride > 1 { #expect(run.slices > 0) }
        #expect(run.sent.count == Set(run.sent).count)
        let order = Dictionary(uniqueKeysWithValues: run.sent.enumerated().map { ($1, $0) })
        for ids in run.committed.values {
            let places = ids.map { order[$0] ?? -1 }
            #expect(!places.contains(-1))
            #expect(places == places.sorted())
        }
    }
}
