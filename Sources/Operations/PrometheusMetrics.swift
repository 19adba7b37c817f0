public import CoreMetrics
internal import HTTP
internal import Synchronization

/// The metrics of the process. It is a backend of swift-metrics that keeps counters, gauges and histograms and exposes
/// them in Prometheus's text format.
///
/// The number of series of each metric is limited, so a label with unbounded values cannot exhaust the memory.
/// `millrace_metrics_refused_total` counts the series that were refused.
public final class PrometheusMetrics: MetricsFactory {
    /// All series of one metric.
    private struct Family {
        let type: String
        /// The series by their labels in the text format.
        var series: [String: any MetricSeries] = [:]
    }

    private let seriesLimit: Int
    private let help: [String: String]
    private let families = Mutex<[String: Family]>([:])
    private let refused = CounterSeries()

    /// - Parameters:
    ///   - seriesLimit: the maximum number of series of one metric.
    ///   - help: one sentence for each metric, by the name in the text format. The metrics of HTTP servers need none.
    public init(seriesLimit: Int = 1_000, help: [String: String] = [:]) {
        self.seriesLimit = seriesLimit
        self.help = help.merging(HTTPMetricHelp.help) { own, _ in own }
    }

    /// All metrics in text format version 0.0.4, sorted by name, followed by those of the process.
    ///
    /// Format: https://prometheus.io/docs/instrumenting/exposition_formats/
    public func exposition() -> String {
        var text = ""
        let families = families.withLock { $0 }
        for (name, family) in families.sorted(by: { $0.key < $1.key }) where !family.series.isEmpty {
            text += prometheusHead(name, family.type, help: help[name])
            for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
                series.append(name: name, labels: labels, to: &text)
            }
        }
        text += prometheusHead(
            "millrace_metrics_refused_total", "counter",
            help: "Series that were refused because their name has too many series, or is another kind of metric.")
        refused.append(name: "millrace_metrics_refused_total", labels: "", to: &text)
        return text + ProcessMetrics.exposition()
    }

    private func series<Series: MetricSeries>(
        _ label: String, _ dimensions: [(String, String)], _ make: () -> Series
    ) -> Series {
        let name = Series.name(for: prometheusName(label))
        let labels = prometheusLabels(dimensions)
        return families.withLock { families in
            var family = families[name] ?? Family(type: Series.type)
            if let existing = family.series[labels] as? Series { return existing }
            let series = make()
            guard family.type == Series.type, family.series[labels] == nil, family.series.count < seriesLimit else {
                refused.increment(by: 1)
                return series
            }
            family.series[labels] = series
            families[name] = family
            return series
        }
    }

    private func remove(_ series: AnyObject) {
        families.withLock { families in
            for (name, family) in families {
                for (labels, candidate) in family.series where candidate === series {
                    families[name]?.series[labels] = nil
                }
            }
        }
    }

    // MARK: MetricsFactory

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions, CounterSeries.init)
    }

    public func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        series(label, dimensions, FloatingPointCounterSeries.init)
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions, GaugeSeries.init)
    }

    public func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        aggregate
            ? series(label, dimensions, SizeHistogramSeries.init) : series(label, dimensions, GaugeSeries.init)
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(label, dimensions, TimeHistogramSeries.init)
    }

    public func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { remove(handler) }
    public func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
    public func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
    public func destroyTimer(_ handler: any TimerHandler) { remove(handler) }
}
