internal import Logging
internal import Synchronization

/// Logs unexpected errors of handlers, at most one line in ten seconds. Metrics count all of them.
final class FailureLog: Sendable {
    private static let interval = Duration.seconds(10)

    private let logger: Logger
    private let last = Mutex<ContinuousClock.Instant?>(nil)

    init(_ logger: Logger) {
        self.logger = logger
    }

    func note(_ error: any Error, route: String) {
        let now = ContinuousClock.now
        let isTold = last.withLock { last in
            if let last, now - last < Self.interval { return false }
            last = now
            return true
        }
        guard isTold else { return }
        logger.error("a request failed", metadata: ["route": .string(route), "error": .string("\(error)")])
    }
}

extension Problem {
    /// A temporary refusal by the server itself.
    static func refused(_ status: Int, _ detail: String, retryAfter seconds: Int) -> Problem {
        Problem(status: status, detail: detail, headers: [("Retry-After", String(seconds))])
    }
}
