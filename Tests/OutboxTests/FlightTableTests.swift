import StreamCore
import Testing

@testable import Outbox

@Suite struct FlightTableTests {
    @Test func rowGoesFromFlightToRemoval() {
        var table = FlightTable(maximumRows: 10, maximumBytes: 1_000)
        let first = table.admit(id: 7, bytes: 100)
        let second = table.admit(id: 5, bytes: 50)
        #expect(table.rows == 2)
        #expect(table.bytes == 150)
        #expect(table.acknowledge(first)?.id == 7)
        #expect(table.acknowledge(second)?.id == 5)
        #expect(table.rows == 0)
        #expect(table.takeAcknowledged(limit: 10) == [5, 7])
        #expect(!table.isEmpty)
        table.finishRemoval()
        #expect(table.isEmpty)
    }

    @Test func roomIsBoundedByRowsBytesAndRemovals() {
        var table = FlightTable(maximumRows: 2, maximumBytes: 100)
        #expect(table.hasRoom)
        let large = table.admit(id: 1, bytes: 5_000)
        #expect(!table.hasRoom, "one row may be larger than the limit, but is sent alone")
        table.acknowledge(large)
        #expect(table.hasRoom)
        for id in Int64(2)...4 { table.acknowledge(table.admit(id: id, bytes: 1)) }
        #expect(!table.hasRoom, "acknowledged rows that are not removed yet take room")
        _ = table.takeAcknowledged(limit: 100)
        #expect(!table.hasRoom)
        table.finishRemoval()
        #expect(table.hasRoom)
    }

    @Test func failedRowIsNotRemoved() {
        var table = FlightTable(maximumRows: 2, maximumBytes: 100)
        let tag = table.admit(id: 1, bytes: 1)
        #expect(table.fail(tag)?.id == 1)
        #expect(table.isEmpty)
        #expect(table.fail(tag)?.id == nil)
    }

    @Test func reportsOfAnAbandonedProducerMeanNothing() {
        var table = FlightTable(maximumRows: 2, maximumBytes: 100)
        let old = table.admit(id: 7, bytes: 1)
        _ = table.admit(id: 5, bytes: 1)
        #expect(table.abandon() == 5)
        #expect(table.abandon() == nil)
        #expect(table.rows == 0)
        #expect(table.bytes == 0)
        let new = table.admit(id: 2, bytes: 1)
        #expect(old != new)
        #expect(table.acknowledge(old)?.id == nil)
        #expect(table.acknowledge(new)?.id == 2)
        #expect(new < 1 << 63)
    }

    @Test func knowsRowsUntilNoPageCanShowThem() {
        var table = FlightTable(maximumRows: 10, maximumBytes: 100)
        let tag = table.admit(id: 1, bytes: 1)
        let other = table.admit(id: 2, bytes: 1)
        _ = other
        #expect(table.known(among: [1, 2, 3], ofPage: 1) == [1, 2])
        table.acknowledge(tag)
        #expect(table.known(among: [1, 3], ofPage: 1) == [1])
        _ = table.takeAcknowledged(limit: 10)
        #expect(table.known(among: [1, 3], ofPage: 1) == [1])
        table.willRead(5)
        table.finishRemoval()
        #expect(table.known(among: [1], ofPage: 5) == [1], "page 5 was requested before the removal")
        #expect(table.known(among: [1], ofPage: 6) == [])
    }

    @Test func removalTakesAtMostTheLimit() {
        var table = FlightTable(maximumRows: 10, maximumBytes: 100)
        for id in Int64(1)...5 { table.acknowledge(table.admit(id: id, bytes: 1)) }
        #expect(table.takeAcknowledged(limit: 3) == [1, 2, 3])
        table.finishRemoval()
        #expect(table.takeAcknowledged(limit: 3) == [4, 5])
    }

    @Test func ofManyThoseWithoutHolesAreRemovedFirst() {
        var table = FlightTable(maximumRows: 2_000, maximumBytes: 100_000)
        let tags = (Int64(1)...1_000).map { table.admit(id: $0, bytes: 1) }
        for (index, tag) in tags.enumerated() where index != 500 { table.acknowledge(tag) }
        #expect(table.takeAcknowledged(limit: 400) == Array(1...400))
        table.finishRemoval()
        // Other rows do not wait for the row that is stuck.
        #expect(table.takeAcknowledged(limit: 400) == Array(401...500) + Array(502...801))
        table.finishRemoval()
        table.acknowledge(tags[500])
        #expect(table.takeAcknowledged(limit: 400) == [501] + Array(802...1_000))
    }

    @Test func rowsThatCannotBeRemovedStayKnownAndTakeRoom() {
        var table = FlightTable(maximumRows: 2, maximumBytes: 100)
        for id in Int64(1)...3 { table.acknowledge(table.admit(id: id, bytes: 1)) }
        _ = table.takeAcknowledged(limit: 10)
        table.willRead(5)
        #expect(outcome(table.finishRemoval(leaving: [2])))
        #expect(table.unremoved == [2])
        #expect(!table.isEmpty)
        #expect(table.known(among: [1, 2, 3], ofPage: 9) == [2], "row 2 is published, even if later pages contain it")
        for id in Int64(4)...6 { table.acknowledge(table.admit(id: id, bytes: 1)) }
        #expect(!table.hasRoom)
        table.retryUnremoved()
        #expect(table.takeAcknowledged(limit: 10) == [2, 4, 5, 6])
        #expect(!outcome(table.finishRemoval(leaving: [2, 4, 5, 6])), "nothing was removed")
    }

    @Test func oldestIsOfTheRowsInFlight() {
        var table = FlightTable(maximumRows: 10, maximumBytes: 100)
        #expect(table.oldest == nil)
        let first = table.admit(id: 1, bytes: 1, occurredAt: Timestamp(microseconds: 5))
        _ = table.admit(id: 2, bytes: 1, occurredAt: Timestamp(microseconds: 7))
        #expect(table.oldest == Timestamp(microseconds: 5))
        table.acknowledge(first)
        #expect(table.oldest == Timestamp(microseconds: 7))
    }

    @Test func rangesHoldExactlyTheIDs() {
        #expect(IDRanges.of([]) == [])
        #expect(IDRanges.of([1, 2, 3, 7, 9, 10]) == [1...3, 7...7, 9...10])
        #expect(IDRanges.of([Int64.min, 0, Int64.max]) == [Int64.min...Int64.min, 0...0, Int64.max...Int64.max])
    }
}
