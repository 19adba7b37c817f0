import StreamCore
import Testing

@testable import Inspection

@Suite struct LagWindowTests {
    /// A window of looks at offsets and ends, one second apart by default.
    private func window(
        _ looks: [(next: Int64, end: Int64)], everyMs: Int64 = 1_000, oldestUnreadMs: Int64? = 0,
        movedAtMs: Int64? = nil
    ) -> LagWindow {
        var window = LagWindow()
        for (index, look) in looks.enumerated() {
            window.note(
                LagSample(
                    atMs: Int64(index) * everyMs, next: look.next, end: look.end, oldestUnreadMs: oldestUnreadMs,
                    movedAtMs: movedAtMs))
        }
        return window
    }

    @Test func whoHasReadEverythingIsOK() {
        #expect(window([(10, 10)]).state(isRunning: false) == .ok)
        #expect(LagWindow().state(isRunning: nil) == .ok)
        // It is enough that the consumer has read everything once within the window.
        #expect(window([(10, 10), (10, 20), (12, 30)]).state(isRunning: true) == .ok)
    }

    @Test func whoMovesAndCatchesUpIsOK() {
        #expect(window([(0, 100), (30, 110), (60, 120), (90, 125)]).state(isRunning: true) == .ok)
        #expect(
            window([(0, 100), (1, 110), (2, 120)]).state(isRunning: true) == .ok, "three looks are too few to decide")
    }

    @Test func whoseLagGrowsForAWhileIsWarned() {
        let looks: [(next: Int64, end: Int64)] = [(0, 100), (10, 120), (20, 140), (30, 160)]
        #expect(window(looks, everyMs: 7_000).state(isRunning: true) == .warn)
        #expect(window(looks, everyMs: 1_000).state(isRunning: true) == .ok, "a growth of three seconds may be a burst")
        #expect(window([(0, 100), (10, 120), (35, 140), (40, 160)], everyMs: 7_000).state(isRunning: true) == .ok)
    }

    /// A consumer commits whole batches. Its lag falls at each commit, even if it grows in the long run.
    @Test func aLagThatGrowsInBatchesIsWarnedToo() {
        func looks(readEachTime: Int64) -> [(next: Int64, end: Int64)] {
            (0..<30).map { look in (next: (look / 3) * readEachTime, end: 1_000 + look * 100) }
        }
        #expect(window(looks(readEachTime: 200)).state(isRunning: true) == .warn)
        #expect(window(looks(readEachTime: 300)).state(isRunning: true) == .ok)
        #expect(window(looks(readEachTime: 400)).state(isRunning: true) == .ok)
    }

    @Test func whoDoesNotMoveStallsOrHasStopped() {
        let still = window([(5, 100), (5, 100), (5, 100)], everyMs: 10_000)
        #expect(still.state(isRunning: true) == .stall)
        #expect(still.state(isRunning: nil) == .stall)
        #expect(still.state(isRunning: false) == .stop)
        #expect(
            window([(5, 100), (5, 100)], everyMs: 10_000).state(isRunning: true) == .ok,
            "ten seconds without progress are not a stall")
    }

    /// PostgreSQL stores the time of the last progress, so one look is enough.
    @Test func oneLookIsEnoughWhereItIsKnownWhenItMoved() {
        var window = LagWindow()
        window.note(LagSample(atMs: 100_000, next: 5, end: 9, oldestUnreadMs: 70_000, movedAtMs: 60_000))
        #expect(window.state(isRunning: true) == .stall)
        // A program that restarts is disconnected for a moment.
        var restarted = LagWindow()
        restarted.note(LagSample(atMs: 100_000, next: 5, end: 9, oldestUnreadMs: 97_000, movedAtMs: 96_000))
        #expect(restarted.state(isRunning: false) == .ok)
        // The consumer was idle because it had nothing to read. A record that has just arrived does not make it stall.
        var idle = LagWindow()
        idle.note(LagSample(atMs: 100_000, next: 5, end: 6, oldestUnreadMs: 99_000, movedAtMs: 10_000))
        #expect(idle.state(isRunning: true) == .ok)
        // The producer's clock is ahead.
        var ahead = LagWindow()
        ahead.note(LagSample(atMs: 100_000, next: 5, end: 6, oldestUnreadMs: 500_000, movedAtMs: 10_000))
        #expect(ahead.state(isRunning: true) == .ok)
        #expect(ahead.last?.behindMs == 0)
    }

    @Test func aConsumerThatIsSetBackBeginsAnew() {
        let back = window([(100, 200), (100, 210), (100, 220), (0, 230)], everyMs: 10_000)
        #expect(back.state(isRunning: true) == .ok)
        #expect(back.readPerSecond == nil)
    }

    @Test func ratesAndTheTimeToCatchUp() {
        let catching = window([(0, 100), (30, 110), (60, 120)])
        #expect(catching.readPerSecond == 30 && catching.writtenPerSecond == 10)
        #expect(catching.secondsToCatchUp == 3)
        #expect(window([(0, 100), (10, 120)]).secondsToCatchUp == nil, "it never catches up")
        #expect(window([(5, 5)]).secondsToCatchUp == 0)
        #expect(window([(0, 100)]).secondsToCatchUp == nil)
    }

    @Test func oldLooksAreForgotten() {
        var window = LagWindow()
        window.note(LagSample(atMs: 0, next: 10, end: 10))
        window.note(LagSample(atMs: LagWindow.spanMs + 1, next: 11, end: 90, oldestUnreadMs: 0))
        #expect(window.readPerSecond == nil)
    }

    @Test func unreadRecordsAreRemovedAtTheCurrentRate() {
        func left(_ behind: [Int64], retention: Int64 = 100_000, everyMs: Int64 = 10_000) -> Double? {
            var window = LagWindow()
            for (index, age) in behind.enumerated() {
                let now = 1_000_000 + Int64(index) * everyMs
                window.note(LagSample(atMs: now, next: Int64(index), end: 1_000, oldestUnreadMs: now - age))
            }
            return window.secondsUntilRemoval(retentionMs: retention)
        }
        #expect(left([30_000, 40_000]) == 60, "the consumer stands still, so the age grows as fast as time passes")
        #expect(left([30_000, 35_000]) == 130, "the age grows half as fast as time passes")
        #expect(left([30_000, 20_000]) == nil, "the consumer catches up")
        #expect(left([30_000]) == nil)
        #expect(left([100_000, 110_000]) == 0)
    }

    // MARK: the tracker

    @Test func theTrackerTellsPartitionsApartAndForgetsThoseThatAreGone() throws {
        let one = TopicPartition(topic: "t", partition: 0)
        let two = TopicPartition(topic: "t", partition: 1)
        let consumer = LagReading.Consumer(name: "orders", version: 2)
        var tracker = LagTracker()
        var reading = LagReading(
            atMs: 1_000,
            positions: [consumer: [one: .init(next: 5, movedAtMs: nil), two: .init(next: 3, movedAtMs: nil)]])
        reading.ends = [one: 9]
        reading.beginnings = [one: 0, two: 7]
        let first = tracker.report(reading)
        #expect(first.rows.map(\.lag) == [4, nil])
        #expect(first.rows.map(\.state) == [.ok, nil])
        #expect(first.rows.map(\.removedUnread) == [0, 4])
        #expect(
            first.findings == [Finding(.critical, "4 offsets were removed before they were read", check: "orders v2")])
        reading.atMs = 3_000
        reading.positions = [consumer: [one: .init(next: 9, movedAtMs: nil)]]
        // The end was read earlier than the offset, so it is lower.
        reading.ends = [one: 8]
        let second = tracker.report(reading)
        #expect(second.rows.map(\.lag) == [0])
        #expect(second.rows.first?.readPerSecond == 2)
        #expect(second.findings == [Finding(.ok, "0 behind, 0s at most", check: "orders v2")])
        reading.paused = ["orders"]
        #expect(
            tracker.report(reading).findings == [
                Finding(.warning, "paused: 0 behind, 0s at most", remedy: "millrace resume orders", check: "orders v2")
            ])
        #expect(LagReport(rows: []).findings.map(\.severity) == [.note])
    }
}
