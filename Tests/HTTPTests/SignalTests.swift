import TestKit
import Testing

/// What the other suites rely on when handlers wait.
@Suite struct SignalTests {
    /// A handler that is cancelled must not let the others go, whose waiting a test counts on.
    @Test func whoIsCancelledLeavesTheOthersWaiting() async throws {
        let (signal, begun, ended) = (Signal(), Notes<Int>(), Notes<Int>())
        let waiting = (0..<3).map { number in
            Task {
                begun.add(number)
                await signal.wait()
                // A cancelled one is noted apart from those that were let go.
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
