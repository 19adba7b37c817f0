import TestKit
import Testing

@testable import Leadership

@Suite struct SignalTests {
    @Test func aSignalThatNobodyWaitedForIsNotMissed() async throws {
        let signal = WakeSignal()
        signal.raise()
        signal.raise()
        try await withDeadline(endingBy: { signal.raise() }) { await signal.wait() }
        // Two signals without a waiting task count as one, so the next wait lasts until the third signal.
        let isOver = StopSignal()
        await withTaskGroup { group in
            group.addTask {
                await signal.wait()
                isOver.set()
            }
            for _ in 0..<20 { await Task.yield() }
            #expect(!isOver.isSet)
            signal.raise()
        }
        #expect(isOver.isSet)
    }

    @Test func aWaitEndsWhenItsTaskIsCancelled() async throws {
        let (signal, stop) = (WakeSignal(), StopSignal())
        try await withDeadline(endingBy: {
            signal.raise()
            stop.set()
        }) {
            await withTaskGroup { group in
                group.addTask { await signal.wait() }
                group.addTask { await stop.wait() }
                group.cancelAll()
            }
        }
        #expect(!stop.isSet)
    }

    @Test func stopReachesAllThatWaitAndAllParts() async throws {
        let stop = StopSignal()
        let (part, finished) = (stop.child(), stop.child())
        stop.unsubscribe(finished)
        let subscriber = stop.subscribe()
        try await withDeadline(endingBy: { part.set() }) {
            await withTaskGroup { group in
                for _ in 0..<5 { group.addTask { await stop.wait() } }
                group.addTask { await part.wait() }
                group.addTask { await subscriber.wait() }
                stop.set()
            }
        }
        #expect(stop.isSet && part.isSet && !finished.isSet)
        // A wait that begins after the stop returns at once.
        await stop.wait()
        await stop.subscribe().wait()
        #expect(stop.child().isSet)
    }

    @Test func aPartIsStoppedByItself() {
        let stop = StopSignal()
        let part = stop.child()
        part.set()
        #expect(part.isSet && !stop.isSet)
    }

    @Test func aStepIsCancelledByTheSignalAndItsResultKept() async throws {
        let stop = StopSignal()
        #expect(await stop.cancelling { 1 } == 1)
        let begun = WakeSignal()
        try await withDeadline(endingBy: { stop.set() }) {
            async let wasCancelled = stop.cancelling {
                begun.raise()
                await WakeSignal().wait()
                return Task.isCancelled
            }
            await begun.wait()
            #expect(!stop.isSet)
            stop.set()
            #expect(await wasCancelled)
        }
    }

    @Test func aCancellationArrivesAsARequest() async throws {
        let begun = WakeSignal()
        let work = Task {
            try await StopSignal.onCancellation { stop in
                begun.raise()
                await stop.wait()
                return (isSet: stop.isSet, isCancelled: Task.isCancelled)
            }
        }
        await begun.wait()
        work.cancel()
        let end = try await work.value
        #expect(end.isSet && !end.isCancelled)
    }
}
