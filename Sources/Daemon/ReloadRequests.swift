internal import Dispatch
internal import Glibc
internal import Logging
internal import Synchronization

/// Requests to read settings and files again, by SIGHUP. Several that come before they are looked at are one.
final class ReloadRequests: Sendable {
    private struct State {
        var isPending = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    init() {}

    /// Returns when there is a request that no call before has returned for, or the task is cancelled. One task at a
    /// time may wait.
    func next() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.isPending || Task.isCancelled {
                        state.isPending = false
                        return true
                    }
                    state.waiter = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            take()?.resume()
        }
    }

    /// Asks.
    func request() {
        let waiter = state.withLock { state in
            if state.waiter == nil { state.isPending = true }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    private func take() -> CheckedContinuation<Void, Never>? {
        state.withLock { state in
            defer { state.waiter = nil }
            return state.waiter
        }
    }

    /// Asks at each SIGHUP, as long as the process lives.
    func listen(logger: Logger) {
        let source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: DispatchQueue(label: "millrace.reload"))
        source.setEventHandler { [self] in
            withExtendedLifetime(source) {
                logger.notice("reloading", metadata: ["signal": "SIGHUP"])
                request()
            }
        }
        source.resume()
    }
}
