internal import Synchronization

/// A request to end work in good order. It is set once and wakes all tasks that wait for it.
///
/// A cancelled task can neither finish a transaction nor wait for an acknowledgement. Such work is stopped by this
/// signal instead; see ``onCancellation(_:)``.
public final class StopSignal: Sendable {
    private struct State {
        var isSet = false
        var subscribers: [WakeSignal] = []
        var children: [StopSignal] = []
    }

    private let state = Mutex(State())

    public init() {}

    /// Whether the work should end.
    public var isSet: Bool { state.withLock { $0.isSet } }

    /// Requests the end of the work and of all its parts.
    public func set() {
        let (subscribers, children) = state.withLock { state in
            state.isSet = true
            return (state.subscribers, state.children)
        }
        for subscriber in subscribers { subscriber.raise() }
        for child in children { child.set() }
    }

    /// A signal that is raised when this one is set. Other code may raise it too.
    public func subscribe() -> WakeSignal {
        let subscriber = WakeSignal()
        let isSet = state.withLock { state in
            state.subscribers.append(subscriber)
            return state.isSet
        }
        if isSet { subscriber.raise() }
        return subscriber
    }

    /// Stops raising the subscriber.
    public func unsubscribe(_ subscriber: WakeSignal) {
        state.withLock { $0.subscribers.removeAll { $0 === subscriber } }
    }

    /// A signal for a part of the work. It can be set alone, and is set together with this one.
    public func child() -> StopSignal {
        let child = StopSignal()
        let isSet = state.withLock { state in
            state.children.append(child)
            return state.isSet
        }
        if isSet { child.set() }
        return child
    }

    /// Notes that the part of the work has ended.
    public func unsubscribe(_ child: StopSignal) {
        state.withLock { $0.children.removeAll { $0 === child } }
    }

    /// Suspends until the signal is set or the task is cancelled.
    public func wait() async {
        let subscriber = subscribe()
        defer { unsubscribe(subscriber) }
        while !isSet && !Task.isCancelled { await subscriber.wait() }
    }

    /// Suspends until the signal is set, at most for `limit`.
    public func wait(atMost limit: Duration) async {
        await withTaskGroup { group in
            group.addTask { await self.wait() }
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }

    /// Runs a step that may be interrupted: its task is cancelled when the signal is set.
    ///
    /// - Returns: the result of the step, also if it was cancelled.
    public func cancelling<Result: Sendable>(
        _ step: @escaping @Sendable () async -> Result
    ) async -> Result {
        await withTaskGroup(of: Result?.self) { group in
            group.addTask { await step() }
            group.addTask {
                await self.wait()
                return nil
            }
            var result: Result?
            while result == nil {
                guard let next = await group.next() else { break }
                if let next { result = next }
                group.cancelAll()
            }
            guard let result else { preconditionFailure("the step always has a result") }
            return result
        }
    }

    /// Runs work that ends in good order. A cancellation of the caller's task sets the signal and cancels nothing.
    ///
    /// - Returns: the result of the work. The caller waits for it.
    public static func onCancellation<Result: Sendable>(
        _ work: @escaping @concurrent @Sendable (StopSignal) async throws -> Result
    ) async throws -> Result {
        let stop = StopSignal()
        // This is the only task that is not a child task. It lives as long as this function.
        let task = Task { try await work(stop) }
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            stop.set()
        }
    }
}
