internal import CRDKafka
internal import Synchronization

/// The severity of a line in librdkafka's log: syslog's levels, which it uses.
public enum KafkaLogLevel: Int, Sendable, Comparable {
    case emergency, alert, critical, error, warning, notice, info, debug

    public static func < (left: KafkaLogLevel, right: KafkaLogLevel) -> Bool { left.rawValue < right.rawValue }
}

/// Receives librdkafka's log lines: their level, the facility that wrote them (`FAIL`, `REQTMOUT`) and the text. It is
/// called on librdkafka's threads, so it must not block.
public typealias KafkaLog = @Sendable (_ level: KafkaLogLevel, _ facility: String, _ message: String) -> Void

/// Passes on librdkafka's log at a limited rate, even while a broker stays unavailable.
final class LogSink: Sendable {
    /// Number of lines that a facility may write at once; after them one line every `refillMs`.
    private static let burst = 10
    private static let refillMs: Int64 = 5_000

    private struct Allowance {
        var lines: Int
        var refilledAt: ContinuousClock.Instant
        var dropped = 0
    }

    private let log: KafkaLog
    private let allowances = Mutex<[String: Allowance]>([:])

    init(_ log: @escaping KafkaLog) {
        self.log = log
    }

    func write(level: Int32, facility: String, message: String) {
        if Self.isNoNews(facility, message) { return }
        guard let dropped = admit(facility) else { return }
        let suffix = dropped > 0 ? " (\(dropped) more lines of \(facility) were dropped)" : ""
        log(KafkaLogLevel(rawValue: Int(level)) ?? .debug, facility, message + suffix)
    }

    private static func isNoNews(_ facility: String, _ message: String) -> Bool {
        switch facility {
        // Producers and consumers share one set of properties, so librdkafka warns about properties of the other kind.
        // It also warns about the experimental guarantee, which the producer sets itself and not the author of the
        // configuration.
        case "CONFWARN": message.contains("will be ignored by this") || message.contains("enable.gapless.guarantee")
        // librdkafka writes this about every cluster before it knows the cluster's version.
        case "AUTOCREATE": true
        default: false
        }
    }

    /// - Returns: nil if the line exceeds the limit, otherwise the number of lines dropped before it.
    private func admit(_ facility: String) -> Int? {
        let now = ContinuousClock.now
        return allowances.withLock { allowances in
            var allowance = allowances[facility] ?? Allowance(lines: Self.burst, refilledAt: now)
            defer { allowances[facility] = allowance }
            let refills = Int((now - allowance.refilledAt) / .milliseconds(Self.refillMs))
            if refills > 0 {
                allowance.lines = min(allowance.lines + refills, Self.burst)
                allowance.refilledAt = now
            }
            guard allowance.lines > 0 else {
                allowance.dropped += 1
                return nil
            }
            allowance.lines -= 1
            defer { allowance.dropped = 0 }
            return allowance.dropped
        }
    }
}
