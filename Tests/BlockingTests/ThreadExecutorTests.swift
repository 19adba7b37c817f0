import Blocking
import Foundation
import Synchronization
import Testing

private actor Worker {
    private let executor = ThreadExecutor(name: "test-worker")
    private(set) var order: [Int] = []

    // SAFETY: the actor keeps the executor alive for its whole life.
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    nonisolated var taskExecutor: any TaskExecutor { executor }

    func append(_ value: Int) { order.append(value) }

    /// Blocks this actor's thread until `gate` is signalled.
    func block(until gate: DispatchSemaphore) { gate.wait() }

    func threadIdentity() -> ObjectIdentifier { currentThread() }

    /// The name of this actor's thread, as the system knows it.
    func threadName() throws -> String { try String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8) }
}

private func currentThread() -> ObjectIdentifier { ObjectIdentifier(Thread.current) }

@Suite struct ThreadExecutorTests {
    @Test func runsEveryJobOnOneThreadThatIsNotTheCallers() async {
        let worker = Worker()
        let first = await worker.threadIdentity()
        for _ in 0..<100 { #expect(await worker.threadIdentity() == first) }
    }

    /// So that `top -H` shows which thread uses the processor.
    @Test func theSystemKnowsTheThreadsName() async throws {
        #expect(try await Worker().threadName() == "test-worker\n")
        let name = await onOwnThread("a-name-of-more-than-15-bytes") {
            try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
        }
        #expect(name == "a-name-of-more-\n")
    }

    @Test func aBlockedActorHoldsUpNobodyElse() async {
        let gate = DispatchSemaphore(value: 0)
        let workers = (0..<64).map { _ in Worker() }
        await withTaskGroup(of: Void.self) { group in
            for worker in workers { group.addTask { await worker.block(until: gate) } }
            let free = Worker()
            await free.append(1)
            #expect(await free.order == [1])
            for _ in workers { gate.signal() }
        }
    }

    /// Without the preference, the task would continue on a thread of the pool.
    @Test func aTaskThatPrefersItContinuesThereAfterAWait() async {
        let worker = Worker()
        let thread = await worker.threadIdentity()
        await withTaskExecutorPreference(worker.taskExecutor) {
            for _ in 0..<100 {
                await withCheckedContinuation { continuation in Thread { continuation.resume() }.start() }
                #expect(currentThread() == thread)
                #expect(await worker.threadIdentity() == thread)
            }
        }
    }

    @Test func keepsTheOrderOfOneCaller() async {
        let worker = Worker()
        for value in 0..<1_000 { await worker.append(value) }
        #expect(await worker.order == Array(0..<1_000))
    }
}

@Suite struct WakeupTests {
    @Test func aSignalEndsAWaitAndIsUsedUp() throws {
        let wakeup = try Wakeup()
        #expect(!wakeup.wait(timeoutMs: 0))
        wakeup.signal()
        wakeup.signal()
        #expect(wakeup.wait(timeoutMs: 60_000))
        #expect(!wakeup.wait(timeoutMs: 0))
    }

    @Test func aSignalFromAnotherThreadWakes() throws {
        let wakeup = try Wakeup()
        let thread = Thread { wakeup.signal() }
        thread.start()
        #expect(wakeup.wait(timeoutMs: 60_000))
    }

    @Test func aReadableDescriptorWakesWithoutUsingUpASignal() throws {
        let wakeup = try Wakeup()
        let other = try Wakeup()
        other.signal()
        #expect(wakeup.wait(orReadable: other.fileDescriptor, timeoutMs: 60_000))
        #expect(other.wait(timeoutMs: 0))
    }
}
