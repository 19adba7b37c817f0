internal import Dispatch
internal import Glibc
internal import Logging
internal import Synchronization

/// Requests by SIGHUP to read settings and files again. Requests that arrive before they are handled are combined.
final class ReloadRequests: Sendable {
    private struct State {
        var isPending = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    init() {}

    /// Waits for a request that no earlier call has returned for, or for the cancellation of the task. Only one task
    /// may wait at a time.
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

    /// Makes a request.
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

    /// Makes a request at each SIGHUP, as long as the process lives.
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
