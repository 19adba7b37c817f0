internal import HTTP
internal import Operations
internal import Postgres
internal import StreamCore

/// Decides what becomes of a daemon whose work has failed.
///
/// Before the start has succeeded, a failure is a mistake of the deployment: the daemon ends at once, with an exit code
/// that says so. Later it is a fault of the servers, even where it looks the same (a password that was changed, a
/// pooler that is gone, a table that is missing for a while): the daemon stays, is not ready, and tries again.
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

    /// The work has turned.
    mutating func started() {
        hasStarted = true
        backoff.reset()
    }

    /// Whether work that was told to stop says no more than that, such as when it was connecting to the database.
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
