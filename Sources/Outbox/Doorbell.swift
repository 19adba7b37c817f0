internal import Synchronization

/// Wakes one task that waits. Rings that nobody has heard add up to one, so none is missed.
final class Doorbell: Sendable {
    private struct State {
        var hasRung = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    func ring() {
        let waiter = state.withLock { state in
            defer { state.waiter = nil }
            if state.waiter == nil { state.hasRung = true }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Suspends until the next ring, not at all when it rang since the last wait; returns also when cancelled.
    func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    precondition(state.waiter == nil, "a doorbell wakes one task")
                    if state.hasRung || Task.isCancelled {
                        state.hasRung = false
                        return true
                    }
                    state.waiter = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume()
        }
    }

    /// Suspends until the next ring, but no longer than `limit`.
    func wait(atMost limit: Duration) async {
        await withTaskGroup { group in
            group.addTask { await self.wait() }
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }
}

/// Says that work shall end, once and for all, and rings the bells of those that wait.
final class StopSignal: Sendable {
    private struct State {
        var isSet = false
        var bells: [Doorbell] = []
        var children: [StopSignal] = []
    }

    private let state = Mutex(State())

    var isSet: Bool { state.withLock { $0.isSet } }

    /// A bell that rings when the signal is set.
    func bell() -> Doorbell {
        let bell = Doorbell()
        let isSet = state.withLock { state in
            state.bells.append(bell)
            return state.isSet
        }
        if isSet { bell.ring() }
        return bell
    }

    /// The bell need not ring any more.
    func forget(_ bell: Doorbell) {
        state.withLock { $0.bells.removeAll { $0 === bell } }
    }

    /// A signal of a part of the work: it is set by itself, and with this one.
    func child() -> StopSignal {
        let child = StopSignal()
        let isSet = state.withLock { state in
            state.children.append(child)
            return state.isSet
        }
        if isSet { child.set() }
        return child
    }

    /// The part is over.
    func forget(_ child: StopSignal) {
        state.withLock { $0.children.removeAll { $0 === child } }
    }

    func set() {
        let (bells, children) = state.withLock { state in
            state.isSet = true
            return (state.bells, state.children)
        }
        for bell in bells { bell.ring() }
        for child in children { child.set() }
    }
}
