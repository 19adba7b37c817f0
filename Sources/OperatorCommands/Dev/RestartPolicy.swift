internal import Blocking
import StreamCore

/// What `millrace dev` does when a daemon that it started ends: a pure value that reads no clock.
///
/// Most ends are answered by a restart after a growing delay; a daemon that ran for a while before starts from the
/// shortest delay again. Exit code 78 says that the configuration or the schema is wrong, which no restart changes.
struct RestartPolicy {
    enum Answer: Equatable {
        case restart(after: Duration)
        case giveUp(reason: String)
    }

    /// A daemon that ran for so long was healthy.
    static let healthyAfter: Duration = .seconds(20)
    /// `EX_CONFIG` of sysexits.h.
    static let configurationExit: Int32 = 78

    private var backoff = Backoff(initial: .milliseconds(250), ceiling: .seconds(15))
    private(set) var restarts = 0

    /// - Parameters:
    ///   - end: how it ended.
    ///   - ranFor: how long it had run.
    ///   - random: where the delay's jitter comes from.
    mutating func ended(
        _ end: SupervisedProcess.End, ranFor: Duration, using random: inout some RandomNumberGenerator
    ) -> Answer {
        if end == .exited(Self.configurationExit) {
            return .giveUp(reason: "its configuration or the database schema is wrong (exit 78)")
        }
        if ranFor >= Self.healthyAfter { backoff.reset() }
        restarts += 1
        return .restart(after: backoff.next(using: &random))
    }
}
