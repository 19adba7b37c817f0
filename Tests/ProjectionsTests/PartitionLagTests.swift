import Testing

@testable import Projections

@Suite struct PartitionLagTests {
    private var lag = PartitionLag()

    @Test mutating func nothingToApply() {
        #expect(lag.seconds(next: 5, end: 5, nowMs: 9_000) == 0)
        // The watermark that a client knows may be lower than the applied offset.
        #expect(lag.seconds(next: 6, end: 5, nowMs: 9_000) == 0)
    }

    /// The lag of a record that was taken but not applied counts from its timestamp.
    @Test mutating func theOldestRecordThatWasTaken() {
        lag.took(upTo: 10, oldestMs: 1_000)
        lag.took(upTo: 20, oldestMs: 4_000)
        #expect(lag.seconds(next: 0, end: 30, nowMs: 9_000) == 8)
        #expect(lag.seconds(next: 10, end: 30, nowMs: 9_000) == 5)
        #expect(lag.seconds(next: 30, end: 30, nowMs: 9_000) == 0)
    }

    /// Before any record is taken, the lag counts from the moment when the runner learned of the records. It starts
    /// again after all records were applied.
    @Test mutating func recordsThatNobodyTook() {
        #expect(lag.seconds(next: 0, end: 3, nowMs: 2_000) == 0)
        #expect(lag.seconds(next: 0, end: 3, nowMs: 5_000) == 3)
        #expect(lag.seconds(next: 3, end: 3, nowMs: 6_000) == 0)
        #expect(lag.seconds(next: 3, end: 4, nowMs: 7_000) == 0)
        #expect(lag.seconds(next: 3, end: 4, nowMs: 7_500) == 0.5)
    }

    /// Under a steady load some record always waits, but the lag must not count from the first record.
    @Test mutating func aSteadyLoad() {
        for second in Int64(1)...100 {
            lag.took(upTo: second * 10, oldestMs: second * 1_000 - 200)
            #expect(lag.seconds(next: second * 10, end: second * 10 + 3, nowMs: second * 1_000) == 0.2)
        }
    }

    /// The runner reads the same batch again and again after failures.
    @Test mutating func notesHaveALimit() {
        for _ in 0..<1_000 { lag.took(upTo: 10, oldestMs: 1_000) }
        #expect(lag.seconds(next: 0, end: 10, nowMs: 3_000) == 2)
        #expect(lag.seconds(next: 10, end: 10, nowMs: 3_000) == 0)
        #expect(lag == PartitionLag())
    }

    /// A clock that is behind the brokers' clocks must not give a negative age.
    @Test mutating func clocks() {
        lag.took(upTo: 10, oldestMs: 5_000)
        #expect(lag.seconds(next: 0, end: 10, nowMs: 4_000) == 0)
    }
}
