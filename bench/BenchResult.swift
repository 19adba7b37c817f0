import Foundation

/// One result: a line of JSON on standard output, and the same line at the end of the results file.
struct BenchResult {
    var name: String
    var events: Int?
    var seconds: Double?
    var eventsPerS: Double?
    /// What the machine does at best: the same work without Millrace around it, in the same run.
    var limitPerS: Double?
    /// `events_per_s / limit_per_s`, or what the bench says it is.
    var ratio: Double?
    /// The daemon's, in MiB.
    var peakRssMib: Double?
    /// The daemon's processor time for 100,000 events, in seconds.
    var cpuSPer100k: Double?
    var p50Ms: Double?
    var p95Ms: Double?
    var p99Ms: Double?
    var maxMs: Double?
    /// Events that took effect out of their key's order.
    var orderViolations: Int?
    /// Events that never took effect.
    var lost: Int?
    /// Queries that were not answered as they should be.
    var failedQueries: Int?
    /// How long a reader may have waited for a promotion, in milliseconds.
    var promoteBlockMs: Double?
    /// The median of the slowest command's `--help`, in milliseconds.
    var helpMs: Double?
    /// The median of `millrace status`, in milliseconds.
    var statusMs: Double?
    /// The median of a scrape of the slowest daemon's metrics, in milliseconds.
    var scrapeMs: Double?
    /// What was done to the system, in order, and how long it took until all events committed before were applied.
    var recoveries: [(fault: String, seconds: Double)] = []
    /// What was random followed from it.
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

    /// The line, with the keys in the order above and numbers rounded to what was measured.
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

/// Durations measured, for exact quantiles.
struct Latencies: Sendable {
    private(set) var nanoseconds: [Int64] = []

    var count: Int { nanoseconds.count }

    mutating func record(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        nanoseconds.append(max(seconds * 1_000_000_000 + attoseconds / 1_000_000_000, 0))
    }

    /// The smallest recorded duration that at least `quantile` of all do not exceed; nil when there is none.
    func milliseconds(atQuantile quantile: Double) -> Double? {
        guard !nanoseconds.isEmpty else { return nil }
        let sorted = nanoseconds.sorted()
        let index = Int((quantile * Double(sorted.count)).rounded(.up)) - 1
        return Double(sorted[min(max(index, 0), sorted.count - 1)]) / 1_000_000
    }
}
