import Synchronization
import TestKit
import Testing

@testable import Commands

/// Wakes the loop that answers commands whose deadline has passed.
@Suite struct CommandQueueTests {
    /// Runs `body` with a queue. The remaining commands are answered at the end.
    private static func with(
        _ deadlines: [Duration], _ body: (CommandQueue, ContinuousClock.Instant) async throws -> Void
    ) async throws {
        let (queue, start) = (CommandQueue(maxCount: 10), ContinuousClock.now)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, deadline) in deadlines.enumerated() {
                group.addTask { await Self.wait(in: queue, UInt64(number), until: start + deadline) }
            }
            try await eventually { queue.count == deadlines.count }
            try await body(queue, start)
            for pending in queue.removeAll() { pending.waiter.resume(returning: .failed(.stopped)) }
        }
    }

    private static func wait(in queue: CommandQueue, _ id: UInt64, until deadline: ContinuousClock.Instant) async {
        _ = await withCheckedContinuation { waiter in
            let pending = PendingCommand(id: id, job: .query([]), arrival: .now, deadline: deadline, waiter: waiter)
            if let refusal = queue.append(pending) { waiter.resume(returning: .failed(refusal)) }
        }
    }

    @Test func theNextDeadlineIsTheEarliest() async throws {
        try await Self.with([.seconds(500), .seconds(300), .seconds(400)]) { queue, start in
            #expect(queue.nextDeadline == start + .seconds(300))
            #expect(queue.removeExpired(at: start).isEmpty)
        }
        #expect(CommandQueue(maxCount: 1).nextDeadline == nil)
    }

    /// One wait begins before the command arrives, and one after.
    @Test func anEarlierDeadlineEndsTheWait() async throws {
        try await Self.with([.seconds(300)]) { queue, start in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await queue.waitForDeadline(before: start + .seconds(300)) }
                group.addTask { await Self.wait(in: queue, 7, until: start + .seconds(200)) }
                // Cancels only the wait. The command stays in the queue.
                try await group.next()
                #expect(queue.nextDeadline == start + .seconds(200))
                await queue.waitForDeadline(before: start + .seconds(300))
                for pending in queue.removeAll() { pending.waiter.resume(returning: .failed(.stopped)) }
            }
        }
    }

    private final class Flag: Sendable {
        private let value = Atomic(false)
        var isSet: Bool { value.load(ordering: .sequentiallyConsistent) }
        func set() { value.store(true, ordering: .sequentiallyConsistent) }
    }

    @Test func aLaterDeadlineDoesNot() async throws {
        try await Self.with([.seconds(300)]) { queue, start in
            let end = Flag()
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    await queue.waitForDeadline(before: start + .seconds(300))
                    end.set()
                }
                group.addTask { await Self.wait(in: queue, 7, until: start + .seconds(400)) }
                while queue.count < 2 { await Task.yield() }
                #expect(!end.isSet)
                // The cancellation ends the wait.
                group.cancelAll()
                for pending in queue.removeAll() { pending.waiter.resume(returning: .failed(.stopped)) }
            }
            #expect(end.isSet)
        }
    }

    @Test func withoutALimitAnyCommandEndsTheWait() async throws {
        try await Self.with([]) { queue, start in
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await Self.wait(in: queue, 7, until: start + .seconds(400)) }
                await queue.waitForDeadline(before: nil)
                #expect(queue.count == 1)
                for pending in queue.removeAll() { pending.waiter.resume(returning: .failed(.stopped)) }
            }
        }
    }
}
