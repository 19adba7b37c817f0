import Testing

@testable import Outbox

/// A table as a snapshot shows it, to drive the cursor with.
private struct Table {
    var visible: Set<Int64> = []

    func page(_ request: ScanCursor.Request) -> [Int64] {
        let rows = visible.filter { id in
            id > request.after || request.gaps.contains { $0.contains(id) }
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
        #expect(outcome(cursor.take(ids, of: request)))
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
        cursor.lockHolders(["4/7"])
        for _ in 0..<3 {
            #expect(read() == [])
            cursor.lockHolders(["4/7", "5/1"])
        }
        table.visible.insert(2)
        #expect(read() == [2])
        #expect(cursor.gaps.ranges(upTo: 10) == [Int64.min + 1...0])
    }

    @Test mutating func gapOfRolledBackTransactionIsForgottenAfterOneMoreLook() {
        table.visible = [1, 3]
        _ = read()
        cursor.lockHolders(["4/7"])
        _ = read()
        cursor.lockHolders([])
        #expect(!cursor.gaps.isEmpty, "the holder may have committed just before it let go of the lock")
        _ = read()
        #expect(cursor.gaps.isEmpty)
    }

    @Test mutating func rowCommittedJustBeforeTheLockWasReleasedIsRead() {
        table.visible = [1, 3]
        _ = read()
        cursor.lockHolders(["4/7"])
        cursor.lockHolders([])
        table.visible.insert(2)
        #expect(read() == [2])
        #expect(cursor.gaps.isEmpty)
    }

    @Test mutating func pageAskedForBeforeTheLockWasDoesNotForget() {
        table.visible = [1, 3]
        _ = read()
        let early = cursor.nextRequest(limit: 10)
        cursor.lockHolders([])
        #expect(outcome(cursor.take([], of: early)))
        #expect(!cursor.gaps.isEmpty)
        _ = read()
        #expect(cursor.gaps.isEmpty)
    }

    @Test mutating func unrelatedHoldersThatCameLaterDoNotKeepAGap() {
        table.visible = [1, 3]
        _ = read()
        cursor.lockHolders(["4/7"])
        cursor.lockHolders(["9/9"])
        _ = read()
        #expect(cursor.gaps.isEmpty)
    }

    @Test mutating func fullPageDoesNotForgetGapsBehindItsLastRow() {
        table.visible = [1, 5, 9]
        _ = read()
        cursor.lockHolders([])
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
        cursor.lockHolders([])
        _ = read()
        #expect(cursor.gaps.isEmpty)
        cursor.rewind()
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
        cursor.rewind()
        #expect(read() == [])
        #expect(!cursor.isRescanning, "else each look would step over all dead rows")
        let next = cursor.nextRequest(limit: 1)
        #expect(next.after == 5)
    }

    @Test mutating func rowWithAnUnexpectedIDIsFoundByTheSweep() {
        table.visible = [10]
        _ = read()
        cursor.lockHolders([])
        _ = read()
        table.visible = [3]
        #expect(read() == [], "no gap foretold it")
        cursor.rewind()
        #expect(read() == [3])
    }

    @Test mutating func openGapAheadOfARewoundCursorIsKept() {
        table.visible = [1, 2, 5]
        _ = read()
        cursor.rewind()
        cursor.lockHolders([])
        #expect(read(limit: 2) == [1, 2])
        #expect(!cursor.gaps.isEmpty, "3 and 4 were not looked at by this page")
        table.visible.insert(4)
        #expect(read() == [4, 5])
    }

    @Test mutating func pageThatWasAskedForBeforeARewindIsDropped() {
        table.visible = [1, 2]
        let request = cursor.nextRequest(limit: 10)
        cursor.rewind()
        #expect(!outcome(cursor.take([1, 2], of: request)))
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
            cursor.lockHolders(["1/1"])
        }
        cursor.lockHolders([])
        _ = read()
        #expect(cursor.gaps.isEmpty)
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
            let isCurrent = cursor.take(ids, of: request)
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
            case 3: cursor.lockHolders(Set(running.map(\.name)))
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
