internal import HTTP
internal import Operations
internal import Postgres
internal import StreamCore

/// Decides what happens to a daemon whose work has failed.
///
/// Before the start has succeeded, a failure is a mistake of the deployment, and the daemon ends at once with an exit
/// code that says so. Later it counts as a fault of the servers, even if it looks the same (a changed password, a
/// missing pooler, a table that is missing for some time). The daemon then keeps running, is not ready, and tries
/// again.
///
/// A pure value: it neither works nor waits.
struct WorkSupervision {
    enum Verdict: Equatable {
        case end
        case retry(after: Duration)
    }

    private var hasStarted = false
    private var backoff: Backoff

    init(backoff: Backoff = Backoff(initial: .milliseconds(500), ceiling: .seconds(30))) {
        self.backoff = backoff
    }

    /// Reports that the work has made progress.
    mutating func started() {
        hasStarted = true
        backoff.reset()
    }

    /// Whether an error only means that the work was told to stop, for example while it was connecting.
    static func isStop(_ error: any Error) -> Bool {
        error is CancellationError || (error as? PostgresError)?.code == .cancelled
    }

    mutating func failed(_ error: any Error) -> Verdict {
        guard hasStarted, !(error is HTTPServer.BindError) else { return .end }
        switch DaemonExit(error) {
        case .configuration, .temporary, .unavailable: return .retry(after: backoff.next())
        case .ok, .usage, .internal: return .end
        }
    }
}
