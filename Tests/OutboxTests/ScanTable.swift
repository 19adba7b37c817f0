import Testing

@testable import Outbox

/// The table as a snapshot shows it, for tests that drive the cursor.
struct ScanTable {
    var visible: Set<Int64> = []

    func page(_ request: ScanCursor.Request) -> [Int64] {
        let rows = visible.filter { id in
            id > request.after && id <= request.upTo || request.gaps.contains { $0.contains(id) }
        }
        return Array(rows.sorted().prefix(request.limit))
    }
}

/// A suite that reads a table with a cursor.
protocol ScanSuite {
    var cursor: ScanCursor { get set }
    var table: ScanTable { get set }
}

extension ScanSuite {
    mutating func read(limit: Int = 100) -> [Int64] {
        let request = cursor.nextRequest(limit: limit)
        let ids = table.page(request)
        #expect(outcome(cursor.take(ids, isFull: ids.count == request.limit, of: request)))
        return ids
    }

    /// Reads a forward page, and before its rows the slices of the gaps.
    mutating func readWithLook(
        _ holders: LockHolders? = nil, limit: Int = 1_000
    ) -> (rows: [Int64], slices: Int) {
        let request = cursor.nextRequest(limit: limit)
        let ids = table.page(request)
        #expect(outcome(cursor.take(ids, isFull: ids.count == limit, of: request)))
        guard cursor.needsLook(before: request, isEmpty: ids.isEmpty) else { return (ids, 0) }
        if let holders { cursor.lockHolders(holders) }
        cursor.beginLook(before: request)
        var rows: [Int64] = []
        var slices = 0
        while let look = cursor.nextLook(limit: limit) {
            slices += 1
            #expect(GapLook.width(look.gaps) <= SliceWidth().ids && look.gaps.count <= GapTracker.maximumRanges)
            let late = table.page(look)
            #expect(outcome(cursor.take(late, isFull: late.count == limit, of: look)))
            rows += late
        }
        return (rows + ids, slices)
    }

    mutating func backgroundRequest(_ limit: Int) throws -> ScanCursor.Request {
        let request = cursor.nextBackgroundRequest(limit: limit)
        return try #require(request)
    }

    mutating func background(_ limit: Int) -> [Int64] {
        guard let request = cursor.nextBackgroundRequest(limit: limit) else {
            Issue.record("expected a request for a background page")
            return []
        }
        let ids = table.page(request)
        #expect(outcome(cursor.take(ids, isFull: ids.count == limit, of: request)))
        _ = cursor.finish(request)
        return ids
    }
}

/// Returns its argument. `#expect` cannot contain a mutating call, so the call is made in the argument of this
/// function.
func outcome(_ value: Bool) -> Bool { value }
