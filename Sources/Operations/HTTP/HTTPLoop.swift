internal import Glibc
internal import NIOCore

/// One event loop with the connections on it: their deadlines, and the tasks that answer their requests.
final class HTTPLoop: Sendable {
    /// A request for a handler.
    struct Job: Sendable {
        let connection: NIOLoopBound<HTTPConnection>
        /// Which of the connection's requests it is.
        let number: UInt64
        let request: HTTPRequest
        let route: Int
        let isStream: Bool
        let slot: RequestSlot
    }

    private struct State {
        var connections: [HTTPConnection] = []
        var isDraining = false
        var whenEmpty: CheckedContinuation<Void, Never>?
        var sweep: RepeatedTask?
        var dateSeconds = 0
        var date = ""
    }

    let eventLoop: any EventLoop
    let executor: EventLoopExecutor
    let context: HTTPServerContext
    private let state: NIOLoopBoundBox<State>
    private let jobs: AsyncStream<Job>
    private let submission: AsyncStream<Job>.Continuation

    init(_ eventLoop: any EventLoop, _ context: HTTPServerContext) {
        self.eventLoop = eventLoop
        self.context = context
        executor = EventLoopExecutor(eventLoop)
        state = .makeBoxSendingValue(State(), eventLoop: eventLoop)
        // Bounded by the admission: a request is admitted before it is submitted.
        (jobs, submission) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
    }

    // MARK: answering

    func submit(_ job: Job) {
        submission.yield(job)
    }

    /// Answers requests, each in a task of its own, until the loop is drained or the task is cancelled.
    func work() async {
        startSweeping()
        await withDiscardingTaskGroup { tasks in
            for await job in jobs {
                tasks.addTask { await self.answer(job) }
            }
        }
    }

    /// What one request takes: the handler, then the body where it is a stream. All of it on this loop, wherever the
    /// handler goes in between.
    private func answer(_ job: Job) async {
        let connection = job.connection
        defer { job.slot.end() }
        unsafe withUnsafeCurrentTask { task in
            // SAFETY: the connection keeps the handle until `ended` below, which is before the task's end, and cancels
            // it only, which may be done from elsewhere.
            guard let task = unsafe task else { return }
            unsafe connection.value.began(job.number, by: task)
        }
        defer { connection.value.ended(job.number) }
        let response: HTTPResponse
        do {
            response = try await context.routes.routes[job.route].handler(job.request)
        } catch let problem as Problem {
            response = problem.response
        } catch is CancellationError where job.slot.isAbandoned {
            return connection.value.abort(job.number)
        } catch {
            response = failure(error, of: job).response
        }
        guard let body = connection.value.respond(to: job.number, response) else { return }
        do {
            if job.isStream { context.metrics.streamBegan() }
            defer { if job.isStream { context.metrics.streamEnded() } }
            try await body(connection.value.writer(of: job.number))
            connection.value.finishBody(of: job.number)
        } catch {
            if !(error is HTTPBodyWriter.WriteError || error is CancellationError) {
                context.failures.note(error, route: context.routes.routes[job.route].template)
            }
            connection.value.abort(job.number)
        }
    }

    private func failure(_ error: any Error, of job: Job) -> Problem {
        if error is CancellationError {
            return .refused(503, "the server is stopping", retryAfter: context.configuration.retryAfterSeconds)
        }
        context.failures.note(error, route: context.routes.routes[job.route].template)
        return Problem(status: 500)
    }

    // MARK: connections

    func opened(_ connection: HTTPConnection) {
        connection.index = state.value.connections.count
        state.value.connections.append(connection)
        context.metrics.opened()
        if state.value.isDraining { connection.drain() }
    }

    func closed(_ connection: HTTPConnection) {
        guard let index = connection.index else { return }
        connection.index = nil
        let last = state.value.connections.removeLast()
        if last !== connection {
            state.value.connections[index] = last
            last.index = index
        }
        context.metrics.closed()
        endIfDrained()
    }

    /// The time as HTTP writes it, made once a second.
    var date: String {
        let seconds = time(nil)
        if seconds != state.value.dateSeconds {
            state.value.dateSeconds = seconds
            state.value.date = HTTPDate.text(seconds)
        }
        return state.value.date
    }

    /// Looks at all deadlines: cheaper than a timer a connection, which every request would set and cancel.
    private func startSweeping() {
        let configuration = context.configuration
        let shortest = min(
            configuration.receiveTimeoutMs, configuration.requestTimeoutMs, configuration.idleTimeoutMs,
            configuration.writeTimeoutMs)
        let interval = TimeAmount.milliseconds(Int64(min(max(shortest / 5, 5), 250)))
        state.value.sweep = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [state] _ in
            let now = NIODeadline.now()
            for connection in state.value.connections where connection.deadline <= now { connection.timedOut(now) }
        }
    }

    // MARK: stopping

    /// Ends what is idle, tells the rest to come to an end, and closes what is left after `limit`.
    func drain(within limit: TimeAmount) {
        eventLoop.execute { [state, eventLoop] in
            state.value.isDraining = true
            for connection in state.value.connections { connection.drain() }
            if limit == .zero {
                Self.closeAll(state)
            } else {
                eventLoop.scheduleTask(in: limit) { Self.closeAll(state) }
            }
        }
    }

    private static func closeAll(_ state: NIOLoopBoundBox<State>) {
        for connection in state.value.connections { connection.close() }
    }

    /// Returns when no connection is left, and lets ``work()`` come to its end.
    func drained() async {
        await withCheckedContinuation { continuation in
            eventLoop.execute { [self] in
                state.value.whenEmpty = continuation
                endIfDrained()
            }
        }
        submission.finish()
    }

    private func endIfDrained() {
        guard state.value.isDraining, state.value.connections.isEmpty, let whenEmpty = state.value.whenEmpty else {
            return
        }
        state.value.whenEmpty = nil
        state.value.sweep?.cancel()
        whenEmpty.resume()
    }
}

/// Runs tasks on an event loop's thread, between its events.
final class EventLoopExecutor: TaskExecutor {
    private let eventLoop: any EventLoop

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    func enqueue(_ job: consuming ExecutorJob) {
        // SAFETY: a job that is enqueued must be run exactly once, which the loop does.
        let job = UnownedJob(job)
        eventLoop.execute { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
