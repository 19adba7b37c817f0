internal import Blocking
import StreamCore

/// Decides what `millrace dev` does when one of its daemons ends. This is a pure value that reads no clock.
///
/// Usually the daemon is restarted after a growing delay. After a longer run the delay begins again with the shortest.
/// Exit code 78 means that the configuration or the schema is wrong, so a restart would not help.
struct RestartPolicy {
    enum Answer: Equatable {
        case restart(after: Duration)
        case giveUp(reason: String)
    }

    /// A daemon that ran for this long was healthy.
    static let healthyAfter: Duration = .seconds(20)
    /// `EX_CONFIG` of sysexits.h.
    static let configurationExit: Int32 = 78

    private var backoff = Backoff(initial: .milliseconds(250), ceiling: .seconds(15))
    private(set) var restarts = 0

    /// - Parameters:
    ///   - end: how the process ended.
    ///   - ranFor: how long it ran.
    ///   - random: the source of the delay's jitter.
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
