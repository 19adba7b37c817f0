/// Decides what systemd is told, and when: signs of life for its watchdog, and the line that `systemctl status` shows.
///
/// A pure value: it is told the time and the process's health, and answers what to send.
struct SupervisorReports {
    enum Message: Hashable {
        case alive
        case status(String)
    }

    /// A text that changes often, as one with a time in it does, is sent this rarely.
    private static let statusInterval = Duration.seconds(10)
    static let longestStatus = 500

    /// The interval of the watchdog notifications; nil if the watchdog is off.
    private let aliveInterval: Duration?
    private var lastAlive: Duration?
    private var lastStatus: (text: String, isReady: Bool, sent: Duration)?

    /// - Parameter watchdogInterval: how long systemd waits for a sign of life; nil when it does not.
    init(watchdogInterval: Duration?) {
        aliveInterval = watchdogInterval.map { $0 / 2 }
    }

    /// How often to look: a status is seldom older than a second.
    var lookInterval: Duration { min(aliveInterval ?? .seconds(1), .seconds(1)) }

    /// - Parameter now: the time on a clock that never goes back.
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
