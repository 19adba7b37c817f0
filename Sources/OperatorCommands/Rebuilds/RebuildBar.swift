internal import CommandSupport
internal import ReadModels
internal import StreamCore

/// The progress of a rebuild: a bar with rate and remaining time on a terminal, and a line at intervals on other
/// outputs.
struct RebuildBar {
    private var pace = RebuildPace()
    private var lines = Interval(.seconds(10))

    private static let width = 30

    mutating func show(_ progress: RebuildProgress) {
        pace.observe(progress.done, at: .now)
        let line = Self.line(progress, pace)
        if StandardError.isTerminal {
            StandardError.write("\r\u{1B}[K" + line)
        } else if lines.isDue(.now) {
            StandardError.write(line + "\n")
        }
    }

    func clear() {
        if StandardError.isTerminal { StandardError.write("\r\u{1B}[K") }
    }

    static func line(_ progress: RebuildProgress, _ pace: RebuildPace) -> String {
        let filled = Int(progress.fraction * Double(width))
        var text = "[" + String(repeating: "#", count: filled)
        text += String(repeating: " ", count: width - filled) + "] \(Int(progress.fraction * 100)) % "
        text += "\(TextFormat.count(progress.done)) of \(TextFormat.count(progress.total)) records"
        if let rate = pace.perSecond { text += ", \(TextFormat.count(Int64(rate.rounded())))/s" }
        let remaining = progress.total - progress.done
        if remaining > 0 {
            text += ", \(pace.secondsLeft(remaining).map { "\(duration($0)) left" } ?? "waiting")"
        } else {
            text +=
                progress.behindLive == 0 ? ", caught up" : ", \(TextFormat.count(progress.behindLive)) behind live"
        }
        return text
    }

    static func duration(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded(.up))
        if whole < 60 { return "\(whole) s" }
        if whole < 3_600 { return "\(whole / 60) min \(whole % 60) s" }
        return "\(whole / 3_600) h \(whole % 3_600 / 60) min"
    }
}
