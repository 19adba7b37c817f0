import Testing

@testable import OrderQueries

@Suite struct ReadQueueTests {
    private let now = ContinuousClock.now

    private func item(_ id: UInt64, dueMs: Int = 1_000, cost: Int = 1) -> ReadQueue<String>.Item {
        .init(id: id, entry: "\(id)", deadline: now + .milliseconds(dueMs), cost: cost)
    }

    @Test func quickOnesGoFirstAndTogether() {
        var queue = ReadQueue<String>(maxCount: 10, batchLimit: 2)
        for (id, kind) in [(1, .search), (2, .quick), (3, .quick), (4, .quick)] as [(UInt64, ReadQueue<String>.Kind)] {
            let hasRoom = queue.append(item(id), to: kind)
            #expect(hasRoom)
        }
        let batches = [false, true, true, false].map { queue.next(quickOnly: $0).items.map(\.id) }
        #expect(batches == [[2, 3], [4], [], [1]])
        #expect(queue.isEmpty)
    }

    @Test func thoseThatTakeMoreGoInSmallerNumbers() {
        var queue = ReadQueue<String>(maxCount: 10, batchLimit: 4)
        for id in 1...6 { _ = queue.append(item(UInt64(id), cost: id.isMultiple(of: 2) ? 3 : 1), to: .quick) }
        #expect(queue.quickCost == 12)
        let first = queue.next(quickOnly: true).items
        #expect(first.map(\.id) == [1, 2] && queue.quickCost == 8)
        for item in first.reversed() { queue.putBack(item, to: .quick) }
        let removed = queue.remove(2)
        #expect(removed == "2" && queue.quickCost == 9)
        let batches = (0..<3).map { _ in queue.next(quickOnly: true).items.map(\.id) }
        #expect(batches == [[1, 3, 4], [5, 6], []])
        #expect(queue.quickCost == 0)
    }

    @Test func holdsOnlySoMany() {
        var queue = ReadQueue<String>(maxCount: 2, batchLimit: 2)
        var rooms = [queue.append(item(1), to: .quick)]
        rooms.append(queue.append(item(2), to: .search))
        rooms.append(queue.append(item(3), to: .quick))
        _ = queue.next(quickOnly: true)
        rooms.append(queue.append(item(3), to: .search))
        #expect(rooms == [true, true, false, true])
    }

    @Test func letsGoOfWhatIsCancelledOrLate() {
        var queue = ReadQueue<String>(maxCount: 10, batchLimit: 10)
        for id in 1...5 { _ = queue.append(item(UInt64(id), dueMs: id * 10), to: id % 2 == 0 ? .quick : .search) }
        let cancelled = [queue.remove(4), queue.remove(4)]
        #expect(cancelled == ["4", nil])
        let late = [Set(queue.removeExpired(at: now + .milliseconds(25))), Set(queue.removeExpired(at: now))]
        #expect(late == [["1", "2"], []])
        let rest = Set(queue.removeAll())
        #expect(rest == ["3", "5"])
    }

    @Test func whatIsPutBackComesFirst() {
        var queue = ReadQueue<String>(maxCount: 10, batchLimit: 2)
        for id in 1...3 { _ = queue.append(item(UInt64(id)), to: .search) }
        let first = queue.next(quickOnly: false).items
        #expect(first.map(\.id) == [1])
        for item in first { queue.putBack(item, to: .search) }
        queue.putBack(item(0), to: .search)
        let removed = queue.remove(2)
        #expect(removed == "2")
        let rest = (0..<4).map { _ in queue.next(quickOnly: false).items.map(\.id) }
        #expect(rest == [[0], [1], [3], []])
        #expect(queue.isEmpty)
    }
}
