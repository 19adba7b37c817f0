import Testing

@testable import OrderQueries

@Suite struct VersionWaitsTests {
    private let start = ContinuousClock.now
    private func at(_ milliseconds: Int) -> ContinuousClock.Instant { start + .milliseconds(milliseconds) }

    @Test func aNewcomerIsLookedAtFirst() {
        var waits = VersionWaits<Int>()
        for id in 1...2_000 {
            waits.add(UInt64(id), "old-\(id)", version: 9, at: at(0), until: at(60_000), id)
        }
        for _ in 0..<4 { #expect(waits.take(500, at: at(1)).count == 500) }
        #expect(waits.take(500, at: at(1)).isEmpty, "each order was polled")
        waits.add(3_000, "new", version: 1, at: at(40_000), until: at(60_000), 3_000)
        #expect(waits.nextDue.map { $0 <= at(40_000) } == true)
        let taken = waits.take(500, at: at(40_000))
        #expect(taken.first?.orderID == "new" && taken.count == 500)
        // Even if many clients arrive, the waiting ones get their share of each turn.
        for id in 4_000..<6_000 { waits.add(UInt64(id), "n-\(id)", version: 1, at: at(40_001), until: at(60_000), id) }
        let mixed = waits.take(500, at: at(40_001))
        #expect(mixed.count { $0.orderID.hasPrefix("old-") } == 100)
    }

    @Test func looksBecomeRarer() {
        var waits = VersionWaits<Int>()
        waits.add(1, "a", version: 1, at: at(0), until: at(60_000), 1)
        var looks: [Int] = []
        for time in 0..<10_000 where !waits.take(10, at: at(time)).isEmpty { looks.append(time) }
        #expect(looks.prefix(4) == [0, 1, 2, 3])
        #expect(looks.count { $0 >= 5_000 } == 50, "ten looks a second")
        // A new client for the same order makes it due immediately, and then often.
        waits.add(2, "a", version: 1, at: at(10_000), until: at(60_000), 2)
        #expect(waits.take(10, at: at(10_000)).map(\.orderID) == ["a"])
        #expect(waits.take(10, at: at(10_001)).map(\.orderID) == ["a"])
    }

    @Test func waitsEndOnce() {
        var waits = VersionWaits<Int>()
        waits.add(1, "a", version: 2, at: at(0), until: at(100), 1)
        waits.add(2, "a", version: 5, at: at(0), until: at(100), 2)
        waits.add(3, "b", version: 1, at: at(0), until: at(50), 3)
        #expect(waits.removeReached("a", version: 1) == [])
        #expect(waits.removeReached("a", version: 4) == [1])
        #expect(waits.removeReached("c", version: 4) == [])
        #expect(waits.removeExpired(at: at(50)) == [3])
        #expect(waits.remove(3) == nil && waits.count == 1)
        #expect(waits.remove(2) == 2 && waits.nextDue == nil && waits.take(10, at: at(1_000)).isEmpty)
        waits.add(4, "d", version: 1, at: at(0), until: at(50), 4)
        #expect(waits.removeAll() == [4] && waits.count == 0)
    }

    @Test func theLowestVersionIsAskedFor() {
        var waits = VersionWaits<Int>()
        waits.add(1, "a", version: 5, at: at(0), until: at(100), 1)
        waits.add(2, "a", version: 3, at: at(0), until: at(100), 2)
        #expect(waits.take(10, at: at(0)).map(\.version) == [3])
        #expect(waits.removeReached("a", version: 4) == [2])
        #expect(waits.take(10, at: at(50)).map(\.version) == [5])
    }

    @Test func anAnnouncementMakesAllDue() {
        var waits = VersionWaits<Int>()
        waits.add(1, "a", version: 1, at: at(0), until: at(60_000), 1)
        #expect(waits.take(10, at: at(5_000)).count == 1)
        #expect(waits.take(10, at: at(5_001)).isEmpty)
        waits.announced(at: at(5_001))
        #expect(waits.nextDue.map { $0 <= at(5_001) } == true)
        #expect(waits.take(10, at: at(5_002)).count == 1)
        #expect(waits.take(10, at: at(5_003)).isEmpty, "an announcement makes it due once")
        // An announcement during a look may be about a row that the look did not see.
        waits.announced(at: at(5_004))
        #expect(waits.removeReached("a", version: 0) == [])
        #expect(waits.take(10, at: at(5_005)).count == 1)
    }

    @Test func looksWithoutAnAnnouncementAreRareOnlyWhileTheyFindNothing() {
        var waits = VersionWaits<Int>()
        func looks(from start: Int, to end: Int) -> Int {
            (start..<end).count { !waits.take(10, at: at($0)).isEmpty }
        }
        waits.announced(at: at(0))
        waits.add(1, "a", version: 1, at: at(1), until: at(60_000), 1)
        #expect(looks(from: 1, to: 101) == 5, "one look each 20 ms")
        #expect(waits.removeReached("a", version: 1) == [1])
        #expect(!waits.hearsAnnouncements, "the version was reached without an announcement")
        waits.add(2, "a", version: 2, at: at(101), until: at(60_000), 2)
        #expect(looks(from: 101, to: 121) == 20)
        // A version that the first look or an announced look finds does not show that announcements are missing.
        waits.announced(at: at(121))
        #expect(looks(from: 122, to: 123) == 1)
        #expect(waits.removeReached("a", version: 2) == [2] && waits.hearsAnnouncements)
        waits.add(3, "a", version: 3, at: at(200), until: at(60_000), 3)
        #expect(looks(from: 200, to: 201) == 1)
        #expect(waits.removeReached("a", version: 3) == [3] && waits.hearsAnnouncements)
        waits.lostAnnouncements()
        #expect(!waits.hearsAnnouncements)
    }

    @Test func aReadBeforeTheWaitIsALookWhileAnnouncementsCome() {
        var waits = VersionWaits<Int>()
        waits.add(1, "a", version: 1, at: at(1), readAt: at(0), until: at(60_000), 1)
        #expect(waits.take(10, at: at(1)).count == 1, "no announcement was received yet")
        #expect(waits.removeReached("a", version: 1) == [1])
        waits.announced(at: at(10))
        waits.add(2, "a", version: 2, at: at(12), readAt: at(11), until: at(60_000), 2)
        #expect(waits.take(10, at: at(12)).isEmpty, "the read counts as a look")
        waits.announced(at: at(13))
        #expect(waits.take(10, at: at(13)).count == 1)
        #expect(waits.removeReached("a", version: 2) == [2] && waits.hearsAnnouncements)
        // An announcement during the read may be about a row that the read did not see.
        waits.add(3, "a", version: 3, at: at(20), readAt: at(12), until: at(60_000), 3)
        #expect(waits.take(10, at: at(20)).count == 1)
    }

    @Test func aReadHidesNoAnnouncementForOthers() {
        var waits = VersionWaits<Int>()
        waits.announced(at: at(0))
        waits.add(1, "a", version: 1, at: at(2), readAt: at(1), until: at(60_000), 1)
        waits.announced(at: at(3))
        waits.add(2, "a", version: 5, at: at(5), readAt: at(4), until: at(60_000), 2)
        #expect(waits.take(10, at: at(5)).map(\.version) == [1])
        #expect(waits.removeReached("a", version: 1) == [1])
        // A client without a read makes the order due immediately.
        waits.add(3, "a", version: 6, at: at(6), until: at(60_000), 3)
        #expect(waits.take(10, at: at(6)).map(\.version) == [5])
    }
}
