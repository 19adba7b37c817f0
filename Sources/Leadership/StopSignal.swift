internal import Synchronization

/// Says that work shall end in good order, once and for all, and wakes all that wait.
///
/// A cancelled task can neither finish a transaction nor wait for an acknowledgement. Work that must do so is told to
/// stop by this signal; see ``onCancellation(_:)``.
public final class StopSignal: Sendable {
    private struct State {
        var isSet = false
        var subscribers: [WakeSignal] = []
        var children: [StopSignal] = []
    }

    private let state = Mutex(State())

    public init() {}

    /// Whether the work shall end.
    public var isSet: Bool { state.withLock { $0.isSet } }

    /// Ends the work, and all parts of it.
    public func set() {
        let (subscribers, children) = state.withLock { state in
            state.isSet = true
            return (state.subscribers, state.children)
        }
        for subscriber in subscribers { subscriber.raise() }
        for child in children { child.set() }
    }

    /// A signal that is raised when this one is set; others may raise it, too.
    public func subscribe() -> WakeSignal {
        let subscriber = WakeSignal()
        let isSet = state.withLock { state in
            state.subscribers.append(subscriber)
            return state.isSet
        }
        if isSet { subscriber.raise() }
        return subscriber
    }

    /// The subscriber is not raised any more.
    public func unsubscribe(_ subscriber: WakeSignal) {
        state.withLock { $0.subscribers.removeAll { $0 === subscriber } }
    }

    /// A signal for a part of the work: it is set by itself, and with this one.
    public func child() -> StopSignal {
        let child = StopSignal()
        let isSet = state.withLock { state in
            state.children.append(child)
            return state.isSet
        }
        if isSet { child.set() }
        return child
    }

    /// The part of the work is over.
    public func unsubscribe(_ child: StopSignal) {
        state.withLock { $0.children.removeAll { $0 === child } }
    }

    /// Suspends until the signal is set; returns also when the task is cancelled.
    public func wait() async {
        let subscriber = subscribe()
        defer { unsubscribe(subscriber) }
        while !isSet && !Task.isCancelled { await subscriber.wait() }
    }

    /// Suspends until the signal is set, but no longer than `limit`.
    public func wait(atMost limit: Duration) async {
        await withTaskGroup { group in
            group.addTask { await self.wait() }
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }

    /// Runs a step that may be broken off: its task is cancelled when the signal is set.
    ///
    /// - Returns: what the step returned, also when it was cancelled.
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

    /// Runs work that ends in good order: a cancellation of the caller's task sets the signal, and cancels nothing.
    ///
    /// - Returns: what the work returns; until then the caller waits.
    public static func onCancellation<Result: Sendable>(
        _ work: @escaping @concurrent @Sendable (StopSignal) async throws -> Result
    ) async throws -> Result {
        let stop = StopSignal()
        // The one task that is not a child: it lives as long as this function.
        let task = Task { try await work(stop) }
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            stop.set()
        }
    }
}
