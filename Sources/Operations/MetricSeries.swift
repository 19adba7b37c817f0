internal import CoreMetrics
internal import Synchronization

/// One series of a metric: one line in the text format, or a group of lines for a histogram.
protocol MetricSeries: AnyObject, Sendable {
    static var type: String { get }
    /// The name of the metric in the text format, by Prometheus's conventions for its kind.
    static func name(for label: String) -> String
    func append(name: String, labels: String, to text: inout String)
}

extension MetricSeries {
    static func name(for label: String) -> String { label }
}

/// An integer counter.
final class CounterSeries: MetricSeries, CounterHandler {
    static let type = "counter"
    private let value = Atomic<Int64>(0)

    static func name(for label: String) -> String { label.hasSuffix("_total") ? label : label + "_total" }

    func increment(by amount: Int64) {
        value.wrappingAdd(amount, ordering: .relaxed)
    }

    func reset() {
        value.store(0, ordering: .relaxed)
    }

    func append(name: String, labels: String, to text: inout String) {
        text += "\(name)\(labels) \(value.load(ordering: .relaxed))\n"
    }
}

/// A floating-point counter.
final class FloatingPointCounterSeries: MetricSeries, FloatingPointCounterHandler {
    static let type = "counter"
    private let value = Mutex(0.0)

    static func name(for label: String) -> String { CounterSeries.name(for: label) }

    func increment(by amount: Double) {
        value.withLock { $0 += amount }
    }

    func reset() {
        value.withLock { $0 = 0 }
    }

    func append(name: String, labels: String, to text: inout String) {
        text += "\(name)\(labels) \(prometheusNumber(value.withLock { $0 }))\n"
    }
}

/// A value that can increase and decrease.
final class GaugeSeries: MetricSeries, MeterHandler, RecorderHandler {
    static let type = "gauge"
    private let value = Mutex(0.0)

    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { self.value.withLock { $0 = value } }
    func increment(by amount: Double) { value.withLock { $0 += amount } }
    func decrement(by amount: Double) { value.withLock { $0 -= amount } }
    func record(_ value: Int64) { set(Double(value)) }
    func record(_ value: Double) { set(value) }

    func append(name: String, labels: String, to text: inout String) {
        text += "\(name)\(labels) \(prometheusNumber(value.withLock { $0 }))\n"
    }
}

/// A histogram of sizes with fixed buckets, from 1 to 4¹².
final class SizeHistogramSeries: MetricSeries, RecorderHandler {
    static let type = "histogram"
    private let distribution = Distribution(bounds: (0...12).map { Double(1 << (2 * $0)) })

    func record(_ value: Int64) { distribution.observe(Double(value)) }
    func record(_ value: Double) { distribution.observe(value) }

    func append(name: String, labels: String, to text: inout String) {
        distribution.append(name: name, labels: labels, to: &text)
    }
}

/// A histogram of durations in seconds with fixed buckets.
final class TimeHistogramSeries: MetricSeries, TimerHandler {
    static let type = "histogram"
    private let distribution = Distribution(
        bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60])

    static func name(for label: String) -> String { label.hasSuffix("_seconds") ? label : label + "_seconds" }

    func recordNanoseconds(_ duration: Int64) { distribution.observe(Double(duration) / 1e9) }

    func append(name: String, labels: String, to text: inout String) {
        distribution.append(name: name, labels: labels, to: &text)
    }
}

/// The number of values in each bucket, and their sum.
private final class Distribution: Sendable {
    private struct State {
        var counts: [UInt64]
        var sum = 0.0
    }

    private let bounds: [Double]
    private let state: Mutex<State>

    /// - Parameter bounds: the upper bound of each bucket, ascending. A last bucket without a bound is added.
    init(bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(State(counts: Array(repeating: 0, count: bounds.count + 1)))
    }

    func observe(_ value: Double) {
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock {
            $0.counts[bucket] += 1
            $0.sum += value
        }
    }

    func append(name: String, labels: String, to text: inout String) {
        let (counts, sum) = state.withLock { ($0.counts, $0.sum) }
        let open = labels.isEmpty ? "{" : labels.dropLast() + ","
        var total: UInt64 = 0
        for (index, count) in counts.enumerated() {
            total += count
            let bound = index < bounds.count ? prometheusNumber(bounds[index]) : "+Inf"
            text += "\(name)_bucket\(open)le=\"\(bound)\"} \(total)\n"
        }
        text += "\(name)_sum\(labels) \(prometheusNumber(sum))\n"
        text += "\(name)_count\(labels) \(total)\n"
    }
}
