import Dispatch
import Synchronization

/// An executor that runs an actor's jobs, and the tasks that prefer it, on one operating-system thread of its own.
///
/// An actor that calls a blocking C library uses it as its `unownedExecutor`. The call then blocks this thread and not
/// one of Swift's cooperative pool, and a handle that is bound to a thread stays on it. The thread ends when the last
/// reference to the executor is released and its jobs have run.
///
/// A task that mainly calls such an actor should prefer its executor. Swift resumes a suspended task on the executor
/// that the task prefers, and without one on a thread of the pool, which then has to wake the actor's.
public final class ThreadExecutor: SerialExecutor, TaskExecutor {
    private let jobs = JobQueue()

    /// Starts the thread.
    ///
    /// - Parameter name: the name in `top -H` and debuggers; Linux keeps the first 15 bytes.
    public init(name: String) {
        startThread(name) { [jobs] in jobs.runUntilClosed() }
    }

    deinit {
        jobs.close()
    }

    public func enqueue(_ job: consuming ExecutorJob) {
        unsafe jobs.append(
            JobQueue.Entry(
                job: UnownedJob(job), executor: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor()))
    }
}

/// The jobs that wait for the thread, in order.
private final class JobQueue: Sendable {
    // SAFETY: the actor that the job belongs to holds the executor, and the job holds the actor until it has run. A
    // task that prefers the executor holds it as long as it runs.
    @safe struct Entry: Sendable {
        let job: UnownedJob
        let executor: UnownedSerialExecutor
        let taskExecutor: UnownedTaskExecutor
    }

    private struct State {
        var waiting: [Entry] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    private let changed = DispatchSemaphore(value: 0)

    func append(_ entry: Entry) {
        state.withLock { $0.waiting.append(entry) }
        changed.signal()
    }

    func close() {
        state.withLock { $0.isClosed = true }
        changed.signal()
    }

    func runUntilClosed() {
        while true {
            changed.wait()
            let (batch, isClosed) = state.withLock { state in
                defer { state.waiting.removeAll(keepingCapacity: true) }
                return (state.waiting, state.isClosed)
            }
            for entry in batch {
                unsafe entry.job.runSynchronously(isolatedTo: entry.executor, taskExecutor: entry.taskExecutor)
            }
            if isClosed && batch.isEmpty { return }
        }
    }
}
