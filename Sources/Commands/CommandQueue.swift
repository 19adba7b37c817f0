internal import DequeModule
internal import Synchronization

/// A command or a query, and the task that waits for its answer.
struct PendingCommand: Sendable {
    enum Job: Sendable {
        case command(any Command, CommandHandler, CommandRequest)
        /// Read-only statements, whose rows are the answer.
        case query(Statements)
    }

    let id: UInt64
    let job: Job
    let arrival: ContinuousClock.Instant
    let deadline: ContinuousClock.Instant
    let waiter: CheckedContinuation<CommandReply, Never>
}

/// The commands and queries that wait for a session, in the order of their arrival.
final class CommandQueue: Sendable {
    private struct State {
        var waiting = Deque<PendingCommand>()
        var idle: [CheckedContinuation<Void, Never>] = []
        /// The task that waits for a command with a deadline before the limit; nil is no limit.
        var deadlineWaiter: (limit: ContinuousClock.Instant?, continuation: CheckedContinuation<Void, Never>)?
        var isClosed = false

        /// Removes the waiting task if a command with this deadline is what it waits for.
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

    /// - Returns: the reason for a rejection; nil if the command was added.
    func append(_ pending: PendingCommand) -> CommandFailure? {
        typealias Woken = [CheckedContinuation<Void, Never>?]
        let (refusal, woken) = state.withLock { state -> (CommandFailure?, Woken) in
            // The cancellation handler runs after the flag is set. Either we see the flag, or the handler finds the
            // command.
            if Task.isCancelled { return (.cancelled, []) }
            if state.isClosed { return (.stopped, []) }
            if state.waiting.count >= maxCount { return (.overloaded, []) }
            state.waiting.append(pending)
            return (nil, [state.idle.popLast(), state.takeDeadlineWaiter(for: pending.deadline)])
        }
        for continuation in woken { continuation?.resume() }
        return refusal
    }

    /// The earliest deadline in the queue; nil if the queue is empty.
    var nextDeadline: ContinuousClock.Instant? {
        state.withLock { $0.waiting.lazy.map(\.deadline).min() }
    }

    /// Suspends until the queue has a command with a deadline before `limit`, or the task is cancelled. Only one task
    /// at a time may wait.
    ///
    /// - Parameter limit: nil means any deadline.
    func waitForDeadline(before limit: ContinuousClock.Instant?) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    let isThere = state.waiting.contains { pending in limit.map { pending.deadline < $0 } ?? true }
                    // The cancellation handler runs after the flag is set. Either we see the flag, or the handler finds
                    // the waiter.
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

    /// Waits for commands and removes them in order. Empty after the queue was closed and has no more commands.
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

    /// Removes the commands whose deadline has passed.
    func removeExpired(at now: ContinuousClock.Instant) -> [PendingCommand] {
        remove { $0.deadline <= now }
    }

    /// Removes a command, unless a worker has taken it.
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

    /// Rejects new commands. Workers still take those in the queue.
    func close() {
        let idle = state.withLock { state in
            state.isClosed = true
            defer { state.idle = [] }
            return state.idle
        }
        for continuation in idle { continuation.resume() }
    }

    /// Removes all commands, because no worker is left to run them.
    func removeAll() -> [PendingCommand] { remove { _ in true } }
}
