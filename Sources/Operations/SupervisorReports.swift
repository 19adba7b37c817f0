/// Decides which messages are sent to systemd, and when: watchdog notifications, and the line in `systemctl status`.
///
/// A pure value: it receives the time and the health of the process, and returns the messages to send.
struct SupervisorReports {
    enum Message: Hashable {
        case alive
        case status(String)
    }

    /// The minimum time between two status lines, unless readiness changes. It limits lines that contain a changing
    /// time.
    private static let statusInterval = Duration.seconds(10)
    static let longestStatus = 500

    /// The interval of watchdog notifications; nil if the watchdog is off.
    private let aliveInterval: Duration?
    private var lastAlive: Duration?
    private var lastStatus: (text: String, isReady: Bool, sent: Duration)?

    /// - Parameter watchdogInterval: the time after which systemd restarts a process without notifications; nil if the
    ///   watchdog is off.
    init(watchdogInterval: Duration?) {
        aliveInterval = watchdogInterval.map { $0 / 2 }
    }

    /// The time between two checks of the health, at most one second.
    var lookInterval: Duration { min(aliveInterval ?? .seconds(1), .seconds(1)) }

    /// The messages that are due.
    ///
    /// - Parameters:
    ///   - live: the report about liveness.
    ///   - ready: the report about readiness.
    ///   - now: the time on a monotonic clock.
    mutating func looked(live: HealthRegistry.Report, ready: HealthRegistry.Report, now: Duration) -> [Message] {
        var messages: [Message] = []
        if live.isGood, let aliveInterval, lastAlive.map({ now - $0 >= aliveInterval }) ?? true {
            lastAlive = now
            messages.append(.alive)
        }
        let isReady = live.isGood && ready.isGood
        let text = isReady ? "ready" : Self.text(live.problems + ready.problems)
        let isDue = lastStatus.map { $0.isReady != isReady || now - $0.sent >= Self.statusInterval } ?? true
        if isDue, lastStatus?.text != text {
            lastStatus = (text, isReady, now)
            messages.append(.status(text))
        }
        return messages
    }

    private static func text(_ problems: [String]) -> String {
        let text = "not ready: " + problems.joined(separator: "; ")
        guard text.utf8.count > longestStatus else { return text }
        return String(decoding: text.utf8.prefix(longestStatus), as: UTF8.self) + "…"
    }
}
