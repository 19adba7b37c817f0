import Testing

@testable import Outbox

/// Rows that become visible below the cursor's position.
@Suite struct GapTests: ScanSuite {
    var cursor = ScanCursor()
    var table = ScanTable()

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
        #expect(!cursor.gaps.isEmpty, "the holder may have committed just before it released the lock")
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

    @Test mutating func openGapAheadOfARewoundCursorIsKept() {
        table.visible = [1, 2, 5]
        _ = read()
        cursor.rewind(to: .min)
        cursor.lockHolders(LockHolders(running: []))
        #expect(read(limit: 2) == [1, 2])
        #expect(!cursor.gaps.isEmpty, "this page did not read the ids 3 and 4")
        table.visible.insert(4)
        #expect(read() == [4, 5])
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
        // One hour of rows in which every second id belongs to another shard.
        var request = cursor.nextRequest(limit: 1_000)
        for page in Int64(0)..<400 {
            let ids = (Int64(1)...1_000).map { 2 * (page * 1_000 + $0) }
            #expect(outcome(cursor.take(ids, isFull: true, of: request)))
            cursor.lockHolders(LockHolders(running: ["1/1"]))
            request = cursor.nextRequest(limit: 1_000)
        }
        #expect(cursor.gaps.count <= 2 * GapTracker.maximumKept)
        for missing: Int64 in [1, 399_999, 799_999] {
            #expect(
                cursor.gaps.ranges(upTo: .max - 1).contains { $0.contains(missing) }, "\(missing) may still appear")
        }
    }

    // MARK: transactions that may fill a gap

    @Test mutating func preparedTransactionKeepsItsGap() {
        table.visible = [2]
        _ = read()
        cursor.lockHolders(LockHolders(running: ["4/7"]))
        // PREPARE TRANSACTION: another holder now has the lock.
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

    // MARK: gaps that are too wide for a page

    @Test mutating func wideGapsAreLookedIntoInSlicesBeforeThePage() {
        table.visible = [1_000_000]
        #expect(read() == [1_000_000])
        cursor.lockHolders(LockHolders(running: ["4/7"]))
        #expect(readWithLook().slices > 10, "a transaction that ended earlier may have filled them")
        #expect(readWithLook() == ([], 0), "no holder has ended since then")
        table.visible = [2, 999_999, 1_000_001]
        let read = readWithLook()
        #expect(read.rows == [2, 999_999, 1_000_001], "late rows come first")
        #expect(read.slices == Int(1_000_000 / SliceWidth().ids) + 1)
        table.visible = []
        cursor.lockHolders(LockHolders())
        let last = readWithLook()
        #expect(last.rows.isEmpty && last.slices > 10, "the gaps are read once after the last holder has ended")
        #expect(cursor.gaps.isEmpty)
        #expect(readWithLook() == ([], 0))
    }

    /// While such a transaction is in progress, no page can show its rows. Therefore its gaps need not be read before a
    /// page.
    @Test mutating func gapsOfTransactionsThatAreKnownToRunAreNotLookedInto() {
        table.visible = [1_000_000]
        #expect(read() == [1_000_000])
        let running = LockHolders(running: ["4/7", "5/1"], numbered: ["4/7", "5/1"])
        table.visible = [1_000_001]
        #expect(readWithLook(running).slices > 10, "a transaction that ended earlier may have filled them")
        table.visible = [1_000_002]
        #expect(readWithLook(running) == ([1_000_002], 0))
        table.visible = [7, 1_000_003]
        let read = readWithLook(LockHolders(running: ["5/1"], numbered: ["5/1"]))
        #expect(read.rows == [7, 1_000_003], "one of the two transactions has ended")
        table.visible = [1_000_004]
        #expect(readWithLook(LockHolders(running: ["5/1"])).slices > 10, "5/1 may have committed already")
    }

    /// The holders are queried after the page was read. Therefore the answer also covers the new gaps of this page,
    /// which were not read before it.
    @Test mutating func aGapIsLookedIntoOnceHoweverManyPagesFollow() {
        let running = LockHolders(running: ["4/7"], numbered: ["4/7"])
        table.visible = [1_000_000]
        #expect(read() == [1_000_000])
        table.visible = [2_000_000]
        #expect(readWithLook(running).slices == Int(1_000_000 / SliceWidth().ids) + 1)
        table.visible = [2_000_001]
        #expect(readWithLook(running).slices == Int(1_000_000 / SliceWidth().ids) + 1, "gaps of the previous page")
        table.visible = [2_000_003]
        #expect(readWithLook(running) == ([2_000_003], 0))
        table.visible = [2_000_004]
        #expect(readWithLook(running).slices == 1, "only the gap 2,000,002")
        table.visible = [5, 1_500_000, 2_000_002]
        cursor.lockHolders(LockHolders())
        #expect(readWithLook().rows == [5, 1_500_000, 2_000_002])
        #expect(cursor.gaps.isEmpty)
    }

    @Test mutating func aFullSliceIsContinuedBehindItsLastRow() {
        table.visible = [1_000_000]
        #expect(read() == [1_000_000])
        cursor.lockHolders(LockHolders())
        table.visible = Set(100...199)
        let read = readWithLook(limit: 30)
        #expect(read.rows == Array(100...199))
        #expect(cursor.gaps.isEmpty)
    }

    @Test mutating func aRewindEndsALook() {
        table.visible = [1_000_000]
        #expect(read() == [1_000_000])
        cursor.lockHolders(LockHolders())
        let page = cursor.nextRequest(limit: 10)
        #expect(outcome(cursor.take([], isFull: false, of: page)))
        #expect(cursor.needsLook(before: page, isEmpty: true))
        cursor.beginLook(before: page)
        let slice = cursor.nextLook(limit: 10)
        cursor.rewind(to: 7)
        #expect(!cursor.isCurrent(page))
        if let slice { #expect(!outcome(cursor.take([], isFull: false, of: slice))) }
        #expect(outcome(cursor.nextLook(limit: 10) == nil))
        #expect(slice != nil)
    }

    /// One of eight shards reads every eighth id while a transaction is open.
    @Test mutating func anHourOfEightShardsBehindAnOpenTransactionIsBounded() {
        let late: Int64 = 4_001
        var (wide, looked) = (0, Int64(0))
        for page in Int64(0)..<400 {
            let ids = (Int64(1)...125).map { 8 * (page * 125 + $0) }
            let request = cursor.nextRequest(limit: 1_000)
            #expect(outcome(cursor.take(ids, isFull: false, of: request)))
            guard cursor.needsLook(before: request, isEmpty: false) else { continue }
            wide += 1
            cursor.lockHolders(LockHolders(running: ["1/1"], numbered: ["1/1"]))
            cursor.beginLook(before: request)
            while let look = cursor.nextLook(limit: 1_000) {
                looked += GapLook.width(look.gaps)
                #expect(outcome(cursor.take([], isFull: false, of: look)))
            }
        }
        #expect(cursor.gaps.count <= 2 * GapTracker.maximumKept, "other shards have 350,000 ids")
        #expect(wide > 300)
        #expect(looked < 2 * 400_000, "each gap is read about once, for any number of pages: \(looked)")
        table.visible = [late]
        cursor.lockHolders(LockHolders())
        #expect(readWithLook().rows == [late])
        #expect(cursor.gaps.isEmpty)
    }
}
