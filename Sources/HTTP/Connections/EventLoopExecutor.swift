internal import NIOCore
internal import Synchronization

/// Runs tasks on an event loop's thread, between its events.
///
/// A request would otherwise change threads for each part that is read and each that is written.
final class EventLoopExecutor: TaskExecutor {
    private let eventLoop: any EventLoop
    /// Those that wait for the loop's next turn, in order.
    private let jobs = Mutex<[UnownedJob]>([])

    /// Handlers on this loop that go on although they were cancelled long ago.
    private let wedged = Atomic<Int>(0)

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let isFirst = jobs.withLock { jobs in
            jobs.append(job)
            return jobs.count == 1
        }
        // One turn of the loop runs all that were enqueued until then.
        if isFirst { eventLoop.execute { self.runAll() } }
    }

    var hasWedgedWork: Bool { wedged.load(ordering: .relaxed) > 0 }
    func workWedged() { wedged.add(1, ordering: .relaxed) }
    func wedgedWorkEnded() { wedged.subtract(1, ordering: .relaxed) }

    private func runAll() {
        let batch = jobs.withLock { jobs in
            defer { jobs = [] }
            return jobs
        }
        for job in batch {
            // SAFETY: a job that is enqueued must be run exactly once; it was taken out of the list, and by nobody
            // else.
            unsafe job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}
