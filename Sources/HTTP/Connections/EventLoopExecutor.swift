internal import NIOCore
internal import Synchronization

/// Runs tasks on the thread of an event loop, between its events.
///
/// Otherwise a request would change threads for each part that is read or written.
final class EventLoopExecutor: TaskExecutor {
    private let eventLoop: any EventLoop
    /// The jobs that wait for the loop's next iteration, in order.
    private let jobs = Mutex<[UnownedJob]>([])

    /// The number of handlers on this loop that continue long after they were cancelled.
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
        // One iteration of the loop runs all jobs that were added before it.
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
            // SAFETY: an added job must run exactly once. Only this function took it from the list.
            unsafe job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}
