internal import Logging
internal import Synchronization

/// Tells of handlers that failed: what nobody expected, at most one line in ten seconds, with how many there were.
final class FailureLog: Sendable {
    private static let interval = Duration.seconds(10)

    private struct State {
        var last: ContinuousClock.Instant?
        var untold = 0
    }

    private let logger: Logger
    private let state = Mutex(State())

    init(_ logger: Logger) {
        self.logger = logger
    }

    func note(_ error: any Error, route: String) {
        let now = ContinuousClock.now
        let untold: Int? = state.withLock { state in
            if let last = state.last, now - last < Self.interval {
                state.untold += 1
                return nil
            }
            state.last = now
            defer { state.untold = 0 }
            return state.untold
        }
        guard let untold else { return }
        logger.error(
            "a request failed",
            metadata: ["route": .string(route), "error": .string("\(error)"), "untold": .stringConvertible(untold)])
    }
}

extension Problem {
    /// What the server refuses by itself for now.
    static func refused(_ status: Int, _ detail: String, retryAfter seconds: Int) -> Problem {
        Problem(status: status, detail: detail, headers: [("Retry-After", String(seconds))])
    }
}
