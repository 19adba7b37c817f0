internal import DequeModule
internal import Synchronization

/// A command or a question, and who waits for its answer.
struct PendingCommand: Sendable {
    enum Job: Sendable {
        case command(any Command, CommandHandler, CommandRequest)
        /// Statements that change nothing, for who asks for their rows.
        case query(Statements)
    }

    let id: UInt64
    let job: Job
    let arrival: ContinuousClock.Instant
    let deadline: ContinuousClock.Instant
    let waiter: CheckedContinuation<CommandReply, Never>
}

/// What waits for a connection, in order of arrival.
final class CommandQueue: Sendable {
    private struct State {
        var waiting = Deque<PendingCommand>()
        var idle: [CheckedContinuation<Void, Never>] = []
        /// Who waits for a command with an earlier deadline than this; without a limit, for any command.
        var deadlineWaiter: (limit: ContinuousClock.Instant?, continuation: CheckedContinuation<Void, Never>)?
        var isClosed = false

        /// Removes the waiter, if a command with this deadline concerns it.
        mutating func takeDeadlineWaiter(for deadline: ContinuousClock.Instant) -> CheckedContinuation<Void, Never>? {
            guard let waiter = deadlineWaiter, waiter.limit.map({ deadline < $0 }) ?? true else { return nil }
            deadlineWaiter = nil
            return waiter.continuation
        }
    }

    private let maxCount: Int
    private let state = Mutex(State())

    init(maxCount: Int) {
        self.maxCount = maxCount
    }

    var count: Int { state.withLock { $0.waiting.count } }

    /// - Returns: why it may not wait; nil when it does.
    func append(_ pending: PendingCommand) -> CommandFailure? {
        typealias Woken = [CheckedContinuation<Void, Never>?]
        let (refusal, woken) = state.withLock { state -> (CommandFailure?, Woken) in
            // The handler of a cancellation runs after the flag is set: either we see it, or it finds the command.
            if Task.isCancelled { return (.cancelled, []) }
            if state.isClosed { return (.stopped, []) }
            if state.waiting.count >= maxCount { return (.overloaded, []) }
            state.waiting.append(pending)
            return (nil, [state.idle.popLast(), state.takeDeadlineWaiter(for: pending.deadline)])
        }
        for continuation in woken { continuation?.resume() }
        return refusal
    }

    /// The earliest deadline of those that wait; nil if none waits.
    var nextDeadline: ContinuousClock.Instant? {
        state.withLock { $0.waiting.lazy.map(\.deadline).min() }
    }

    /// Suspends until a command waits whose deadline is before `limit`, or the task is cancelled. One task at a time
    /// may wait.
    ///
    /// - Parameter limit: nil waits for any command.
    func waitForDeadline(before limit: ContinuousClock.Instant?) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    let isThere = state.waiting.contains { pending in limit.map { pending.deadline < $0 } ?? true }
                    // The handler of a cancellation runs after the flag is set: either we see it, or it finds us.
                    if isThere || Task.isCancelled { return true }
                    state.deadlineWaiter = (limit, continuation)
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.deadlineWaiter = nil }
                return state.deadlineWaiter
            }
            waiter?.continuation.resume()
        }
    }

    /// The next ones, in order: waits for them. Empty once the queue is closed and has none any more.
    func next(limit: Int) async -> [PendingCommand] {
        while true {
            let taken = state.withLock { state -> [PendingCommand]? in
                if state.waiting.isEmpty { return state.isClosed ? [] : nil }
                let batch = Array(state.waiting.prefix(limit))
                state.waiting.removeFirst(batch.count)
                return batch
            }
            if let taken { return taken }
            await withCheckedContinuation { continuation in
                let mayWait = state.withLock { state in
                    guard state.waiting.isEmpty && !state.isClosed else { return false }
                    state.idle.append(continuation)
                    return true
                }
                if !mayWait { continuation.resume() }
            }
        }
    }

    /// Takes those out whose time is over.
    func removeExpired(at now: ContinuousClock.Instant) -> [PendingCommand] {
        remove { $0.deadline <= now }
    }

    /// Takes one out, unless it has its turn.
    func remove(_ id: UInt64) -> PendingCommand? {
        remove { $0.id == id }.first
    }

    private func remove(where isWanted: (PendingCommand) -> Bool) -> [PendingCommand] {
        state.withLock { state in
            let removed = state.waiting.filter(isWanted)
            if !removed.isEmpty { state.waiting.removeAll(where: isWanted) }
            return Array(removed)
        }
    }

    /// Takes no more; what waits still has its turn.
    func close() {
        let idle = state.withLock { state in
            state.isClosed = true
            defer { state.idle = [] }
            return state.idle
        }
        for continuation in idle { continuation.resume() }
    }

    /// Takes all out that wait, for there is nobody to run them.
    func removeAll() -> [PendingCommand] { remove { _ in true } }
}
