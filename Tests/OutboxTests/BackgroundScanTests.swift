import Testing

@testable import Outbox

/// The scans that read rows below the cursor's position: the backlog scan and the sweep.
@Suite struct BackgroundScanTests: ScanSuite {
    var cursor = ScanCursor()
    var table = ScanTable()

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
        #expect(background(1) == [4], "it continues at row 4 and reaches row 6 later")
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

    @Test mutating func sweepBetweenTheRowsOfATransactionSendsThemInTheirOrder() throws {
        table.visible = [2, 4]
        #expect(read() == [2, 4])
        cursor.lockHolders(LockHolders(running: ["1/1"], numbered: ["1/1"]))
        cursor.startSweep()
        #expect(background(1) == [2])
        table.visible.formUnion([1, 3])
        let request = try backgroundRequest(5)
        #expect(outcome(cursor.take(table.page(request), isFull: false, of: request)))
        #expect(table.page(request) == [3, 4])
        #expect(cursor.needsLook(before: request, isEmpty: false))
        cursor.lockHolders(LockHolders())
        cursor.beginLook(before: request)
        let look = cursor.nextLook(limit: 5)
        #expect(look.map(table.page) == [1], "before 3 is sent")
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
        #expect(cursor.nextRequest(limit: 1).seen == 1, "id 1,000 may denote another row after the restart")
        cursor.restart(knowsRows: true)
        #expect(cursor.nextRequest(limit: 1).seen == 1)
    }
}
