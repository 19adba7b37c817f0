import Testing

@testable import OrderQueries

@Suite struct ReadQueueTests {
    private let now = ContinuousClock.now

    private func item(_ id: UInt64, dueMs: Int = 1_000) -> ReadQueue<String>.Item {
        .init(id: id, entry: "\(id)", deadline: now + .milliseconds(dueMs))
    }

    @Test func quickOnesGoFirstAndTogether() {
        var queue = ReadQueue<String>(maxCount: 10, batchLimit: 2)
        for (id, lane) in [(1, .search), (2, .quick), (3, .quick), (4, .quick)] as [(UInt64, ReadQueue<String>.Lane)] {
            #expect(queue.append(item(id), to: lane))
        }
        #expect(queue.next(quickOnly: false).items.map(\.id) == [2, 3])
        #expect(queue.next(quickOnly: true).items.map(\.id) == [4])
        #expect(queue.next(quickOnly: true).items.isEmpty)
        #expect(queue.next(quickOnly: false).items.map(\.id) == [1])
        #expect(queue.isEmpty)
    }

    @Test func holdsOnlySoMany() {
        var queue = ReadQueue<String>(maxCount: 2, batchLimit: 2)
        #expect(queue.append(item(1), to: .quick))
        #expect(queue.append(item(2), to: .search))
        #expect(!queue.append(item(3), to: .quick))
        _ = queue.next(quickOnly: true)
        #expect(queue.append(item(3), to: .search))
    }

    @Test func letsGoOfWhatIsCancelledOrLate() {
        var queue = ReadQueue<String>(maxCount: 10, batchLimit: 10)
        for id in 1...5 { #expect(queue.append(item(UInt64(id), dueMs: id * 10), to: id % 2 == 0 ? .quick : .search)) }
        #expect(queue.remove(4) == "4")
        #expect(queue.remove(4) == nil)
        #expect(Set(queue.removeExpired(at: now + .milliseconds(25))) == ["1", "2"])
        #expect(queue.removeExpired(at: now).isEmpty)
        #expect(Set(queue.removeAll()) == ["3", "5"])
    }

    @Test func whatIsPutBackComesFirst() {
        var queue = FIFO<Int>()
        for value in 1...3 { queue.append(value) }
        #expect(queue.popFirst() == 1)
        queue.prepend(1)
        queue.prepend(0)
        #expect(queue.removeAll { $0 == 2 } == [2])
        #expect([queue.popFirst(), queue.popFirst(), queue.popFirst(), queue.popFirst()] == [0, 1, 3, nil])
        #expect(queue.isEmpty)
    }
}
