import TestKit
import Testing

/// Tests ``Signal``, on which the other suites rely when handlers wait.
@Suite struct SignalTests {
    /// The cancellation of one handler must not end the wait of the others, because a test counts on it.
    @Test func whoIsCancelledLeavesTheOthersWaiting() async throws {
        let (signal, begun, ended) = (Signal(), Notes<Int>(), Notes<Int>())
        let waiting = (0..<3).map { number in
            Task {
                begun.add(number)
                await signal.wait()
                // Note -1 for a cancelled task, and its number for a task that the signal ended.
                ended.add(signal.hasHappened ? number : -1)
            }
        }
        try await eventually { begun.all.count == 3 }
        waiting[0].cancel()
        await waiting[0].value
        #expect(ended.all == [-1])
        signal.happen()
        for task in waiting { await task.value }
        #expect(ended.all.sorted() == [-1, 1, 2])
        await signal.wait()
    }
}
