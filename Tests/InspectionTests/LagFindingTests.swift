import StreamCore
import Testing

@testable import Inspection

/// Decides by values which consumers have a problem. An operator must see every problem and no false alarm.
@Suite struct LagFindingTests {
    private static let partition = TopicPartition(topic: "t", partition: 0)
    private static let consumer = LagReading.Consumer(name: "orders", version: 2)
    /// The time of the first look, in milliseconds.
    private static let startMs: Int64 = 10_000_000

    /// - Parameters:
    ///   - next: the consumer's offset at each look.
    ///   - end: the partition's end at each look.
    ///   - behindS: the age of the first unread record at the last look, in seconds; nil if it is unknown.
    ///   - movedS: the time since the last progress at the last look, in seconds.
    ///   - change: sets further values of the reading.
    private func finding(
        next: [Int64], end: [Int64], behindS: Int64?, movedS: Int64, isRunning: Bool? = true,
        _ change: (inout LagReading) -> Void = { _ in }
    ) -> Finding {
        var tracker = LagTracker()
        var report = LagReport(rows: [])
        let lastMs = Self.startMs + Int64(next.count - 1) * 1_000
        for (look, offset) in next.enumerated() {
            var reading = LagReading(
                atMs: Self.startMs + Int64(look) * 1_000,
                positions: [
                    Self.consumer: [
                        Self.partition: .init(
                            next: offset, movedAtMs: lastMs - movedS * 1_000,
                            oldestUnreadMs: behindS.map { lastMs - $0 * 1_000 })
                    ]
                ])
            reading.ends = [Self.partition: end[look]]
            reading.beginnings = [Self.partition: 0]
            if let isRunning { reading.isRunning = ["orders": isRunning] }
            change(&reading)
            report = tracker.report(reading)
        }
        #expect(report.findings.map(\.check) == ["orders v2"])
        return report.findings[0]
    }

    @Test func aLagOfAMomentIsNoProblem() {
        let moment = finding(next: [5], end: [9], behindS: 1, movedS: 2)
        #expect(moment == Finding(.ok, "4 behind, 1s at most", check: "orders v2"))
        #expect(finding(next: [5], end: [9], behindS: 19, movedS: 600).severity == .ok, "it had nothing to read")
        #expect(finding(next: [5], end: [90_000], behindS: 5, movedS: 1).severity == .ok, "a burst")
        #expect(finding(next: [5], end: [9], behindS: 3, movedS: 4, isRunning: false).severity == .ok, "a restart")
        #expect(finding(next: [5], end: [9], behindS: 59, movedS: 1).severity == .ok)
    }

    @Test func whoIsLongBehindHasAProblemThoughItReads() {
        let late = finding(next: [5], end: [9], behindS: 7_200, movedS: 1)
        #expect(late.severity == .warning && late.finding == "4 behind, 2h 0m at most")
        let catching = finding(next: [100, 400], end: [1_000, 1_100], behindS: 90, movedS: 1)
        #expect(catching.severity == .warning && catching.finding == "700 behind, 1m 30s at most, caught up in 3s")
        let falling = finding(next: [100, 200], end: [1_000, 1_200], behindS: 90, movedS: 1)
        #expect(falling.severity == .warning && falling.finding.hasSuffix(", and does not catch up now"))
    }

    @Test func whoMakesNoProgressHasAProblem() {
        let still = finding(next: [5], end: [9], behindS: 20, movedS: 21)
        #expect(still.severity == .critical && still.finding == "no progress: 4 behind, 20s at most")
        let stopped = finding(next: [5], end: [9], behindS: 20, movedS: 21, isRunning: false)
        #expect(stopped.severity == .critical && stopped.finding == "does not run: 4 behind, 20s at most")
        #expect(finding(next: [5], end: [9], behindS: 20, movedS: 19).severity == .ok)
    }

    /// Readers do not use this version yet, so its lag must not alert anyone.
    @Test func aVersionThatIsBuiltIsBehindByItsNature() {
        let builds = { (reading: inout LagReading) in reading.building = [Self.consumer] }
        let building = finding(next: [100, 400], end: [1_000, 1_000], behindS: 86_400, movedS: 1, builds)
        #expect(building.severity == .note)
        #expect(building.finding == "is being built: 600 behind, 1d 0h at most, caught up in 2s")
        #expect(finding(next: [5], end: [9], behindS: 86_400, movedS: 60, builds).severity == .warning)
    }

    /// A transaction ends with a marker, which has an offset but is not a record.
    @Test func offsetsWithoutARecordAreNoLag() {
        let markers = { (reading: inout LagReading) -> Void in
            reading.positions[Self.consumer, default: [:]][Self.partition]?.hasReadAll = true
        }
        let done = finding(next: [5], end: [6], behindS: nil, movedS: 600, markers)
        #expect(done == Finding(.ok, "0 behind, 0s at most", check: "orders v2"))
        #expect(finding(next: [5], end: [6], behindS: nil, movedS: 600).finding == "1 behind, for an unknown time")
    }
}
