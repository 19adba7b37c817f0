import Foundation

/// One result: a line of JSON on standard output. The same line is appended to the results file.
struct BenchResult {
    var name: String
    var events: Int?
    var seconds: Double?
    var eventsPerS: Double?
    /// The best rate of the machine: the same work without Millrace, in the same run.
    var limitPerS: Double?
    /// `events_per_s / limit_per_s`, unless the bench defines another ratio.
    var ratio: Double?
    /// Peak resident memory of the daemon, in MiB.
    var peakRssMib: Double?
    /// The daemon's processor time for 100,000 events, in seconds.
    var cpuSPer100k: Double?
    var p50Ms: Double?
    var p95Ms: Double?
    var p99Ms: Double?
    var maxMs: Double?
    /// Events that took effect out of the order of their key.
    var orderViolations: Int?
    /// Events that never took effect.
    var lost: Int?
    /// Queries without the expected answer.
    var failedQueries: Int?
    /// Maximum time that a reader may have waited for a promotion, in milliseconds.
    var promoteBlockMs: Double?
    /// The median of the slowest command's `--help`, in milliseconds.
    var helpMs: Double?
    /// The median of `millrace status`, in milliseconds.
    var statusMs: Double?
    /// The median of a scrape of the slowest daemon's metrics, in milliseconds.
    var scrapeMs: Double?
    /// The injected faults in order, and for each the time until all events that were committed before were applied.
    var recoveries: [(fault: String, seconds: Double)] = []
    /// The seed of the random choices.
    var seed: UInt64?

    enum Key: String {
        case name, events, seconds
        case eventsPerS = "events_per_s"
        case limitPerS = "limit_per_s"
        case ratio
        case peakRssMib = "peak_rss_mib"
        case cpuSPer100k = "cpu_s_per_100k"
        case p50Ms = "p50_ms"
        case p95Ms = "p95_ms"
        case p99Ms = "p99_ms"
        case maxMs = "max_ms"
        case orderViolations = "order_violations"
        case lost
        case failedQueries = "failed_queries"
        case promoteBlockMs = "promote_block_ms"
        case helpMs = "help_ms"
        case statusMs = "status_ms"
        case scrapeMs = "scrape_ms"
    }

    init(name: String) {
        self.name = name
    }

    mutating func take(_ latencies: Latencies) {
        p50Ms = latencies.milliseconds(atQuantile: 0.50)
        p95Ms = latencies.milliseconds(atQuantile: 0.95)
        p99Ms = latencies.milliseconds(atQuantile: 0.99)
        maxMs = latencies.milliseconds(atQuantile: 1)
    }

    /// The line, with the keys in the order above. Numbers are rounded to the precision of the measurement.
    func line() -> String {
        let numbers: [(Key, Double?)] = [
            (.seconds, seconds), (.eventsPerS, eventsPerS), (.limitPerS, limitPerS), (.ratio, ratio),
            (.peakRssMib, peakRssMib), (.cpuSPer100k, cpuSPer100k), (.p50Ms, p50Ms), (.p95Ms, p95Ms), (.p99Ms, p99Ms),
            (.maxMs, maxMs), (.promoteBlockMs, promoteBlockMs),
            (.helpMs, helpMs), (.statusMs, statusMs), (.scrapeMs, scrapeMs),
        ]
        var members = ["\"name\": \"\(name)\""]
        if let events { members.append("\"events\": \(events)") }
        for case (let key, let value?) in numbers {
            let text = value >= 1_000 ? "\(Int(value.rounded()))" : "\((value * 1_000).rounded() / 1_000)"
            members.append("\"\(key.rawValue)\": \(text)")
        }
        for case (let key, let count?) in [
            (Key.orderViolations, orderViolations), (.lost, lost), (.failedQueries, failedQueries),
        ] {
            members.append("\"\(key.rawValue)\": \(count)")
        }
        if let seed { members.append("\"seed\": \(seed)") }
        if !recoveries.isEmpty {
            let each = recoveries.map { "\"\($0.fault)\": \(($0.seconds * 1_000).rounded() / 1_000)" }
            members.append("\"recovery_s\": {\(each.joined(separator: ", "))}")
        }
        return "{\(members.joined(separator: ", "))}"
    }
}

/// Measured durations, for exact quantiles.
struct Latencies: Sendable {
    private(set) var nanoseconds: [Int64] = []

    var count: Int { nanoseconds.count }

    mutating func record(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        nanoseconds.append(max(seconds * 1_000_000_000 + attoseconds / 1_000_000_000, 0))
    }

    /// The smallest recorded duration that at least `quantile` of all durations do not exceed; nil without durations.
    func milliseconds(atQuantile quantile: Double) -> Double? {
        guard !nanoseconds.isEmpty else { return nil }
        let sorted = nanoseconds.sorted()
        let index = Int((quantile * Double(sorted.count)).rounded(.up)) - 1
        return Double(sorted[min(max(index, 0), sorted.count - 1)]) / 1_000_000
    }
}
