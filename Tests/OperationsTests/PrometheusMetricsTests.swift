import CoreMetrics
import Operations
import Testing

@Suite struct PrometheusMetricsTests {
    private let metrics = PrometheusMetrics(seriesLimit: 3)

    /// The exposition without the metrics of the process.
    private var exposition: String {
        let text = metrics.exposition()
        let end = text.firstRange(of: "# HELP millrace_metrics_refused_total")?.lowerBound ?? text.endIndex
        return String(text[..<end])
    }

    @Test func everyKind() {
        Counter(label: "relay.published", dimensions: [("topic", "order-events"), ("result", "ok")], factory: metrics)
            .increment(by: 41)
        Counter(label: "relay.published", dimensions: [("result", "ok"), ("topic", "order-events")], factory: metrics)
            .increment()
        FloatingPointCounter(label: "cpu_seconds_total", factory: metrics).increment(by: 1.5)
        Gauge(label: "lag", dimensions: [("partition", "0")], factory: metrics).record(7)
        Meter(label: "backlog", factory: metrics).set(0.25)
        let timer = Timer(label: "commit", factory: metrics)
        timer.recordMilliseconds(3)
        timer.recordSeconds(120)
        Recorder(label: "batch_records", factory: metrics).record(1_000)
        #expect(
            exposition == """
                # TYPE backlog gauge
                backlog 0.25
                # TYPE batch_records histogram
                batch_records_bucket{le="1"} 0
                batch_records_bucket{le="4"} 0
                batch_records_bucket{le="16"} 0
                batch_records_bucket{le="64"} 0
                batch_records_bucket{le="256"} 0
                batch_records_bucket{le="1024"} 1
                batch_records_bucket{le="4096"} 1
                batch_records_bucket{le="16384"} 1
                batch_records_bucket{le="65536"} 1
                batch_records_bucket{le="262144"} 1
                batch_records_bucket{le="1048576"} 1
                batch_records_bucket{le="4194304"} 1
                batch_records_bucket{le="16777216"} 1
                batch_records_bucket{le="+Inf"} 1
                batch_records_sum 1000
                batch_records_count 1
                # TYPE commit_seconds histogram
                commit_seconds_bucket{le="0.001"} 0
                commit_seconds_bucket{le="0.0025"} 0
                commit_seconds_bucket{le="0.005"} 1
                commit_seconds_bucket{le="0.01"} 1
                commit_seconds_bucket{le="0.025"} 1
                commit_seconds_bucket{le="0.05"} 1
                commit_seconds_bucket{le="0.1"} 1
                commit_seconds_bucket{le="0.25"} 1
                commit_seconds_bucket{le="0.5"} 1
                commit_seconds_bucket{le="1"} 1
                commit_seconds_bucket{le="2.5"} 1
                commit_seconds_bucket{le="5"} 1
                commit_seconds_bucket{le="10"} 1
                commit_seconds_bucket{le="30"} 1
                commit_seconds_bucket{le="60"} 1
                commit_seconds_bucket{le="+Inf"} 2
                commit_seconds_sum 120.003
                commit_seconds_count 2
                # TYPE cpu_seconds_total counter
                cpu_seconds_total 1.5
                # TYPE lag gauge
                lag{partition="0"} 7
                # TYPE relay_published_total counter
                relay_published_total{result="ok",topic="order-events"} 42

                """)
    }

    @Test func helpStandsBeforeTheType() {
        let metrics = PrometheusMetrics(help: ["lag": "Rows that \\ wait,\nat most.", "never_made": "Nothing."])
        Gauge(label: "lag", factory: metrics).record(7)
        let text = metrics.exposition()
        #expect(text.hasPrefix("# HELP lag Rows that \\\\ wait,\\nat most.\n# TYPE lag gauge\nlag 7\n"))
        #expect(!text.contains("never_made"))
    }

    @Test func labelsAreEscapedAndJoinedWithTheBuckets() {
        Gauge(label: "9 lives", dimensions: [("a-b", "x\"y\\z\nw")], factory: metrics).record(Double.infinity)
        Timer(label: "t", dimensions: [("k", "v")], factory: metrics).recordSeconds(1)
        #expect(exposition.contains("_9_lives{a_b=\"x\\\"y\\\\z\\nw\"} +Inf\n"))
        #expect(exposition.contains("t_seconds_bucket{k=\"v\",le=\"1\"} 1\n"))
        #expect(exposition.contains("t_seconds_count{k=\"v\"} 1\n"))
    }

    /// A label with unlimited values must not exhaust the memory of the process, and must not affect other metrics.
    @Test func seriesHaveALimit() {
        for id in 0..<10 {
            Counter(label: "by_id", dimensions: [("id", String(id))], factory: metrics).increment()
        }
        Gauge(label: "by_id_total", factory: metrics).record(1)
        Counter(label: "other", factory: metrics).increment()
        let lines = exposition.split(separator: "\n")
        #expect(lines.count { $0.hasPrefix("by_id_total{") } == 3)
        #expect(lines.contains("other_total 1"))
        #expect(metrics.exposition().contains("millrace_metrics_refused_total 8\n"))
    }

    @Test func destroyedSeriesVanish() {
        let gone = Gauge(label: "lag", dimensions: [("partition", "1")], factory: metrics)
        let kept = Gauge(label: "lag", dimensions: [("partition", "2")], factory: metrics)
        gone.record(1)
        kept.record(2)
        gone.destroy()
        #expect(exposition == "# TYPE lag gauge\nlag{partition=\"2\"} 2\n")
    }

    @Test func theProcessIsMeasured() throws {
        let lines = metrics.exposition().split(separator: "\n")
        for name in [
            "process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds",
            "process_open_fds",
        ] {
            let line = try #require(lines.first { $0.hasPrefix(name + " ") }, "\(name) is missing")
            #expect(try #require(Double(line.dropFirst(name.count + 1))) > 0, "\(line)")
        }
    }

    @Test func countersAddUpOverThreads() async {
        let counter = Counter(label: "parallel", factory: metrics)
        await withDiscardingTaskGroup { group in
            for _ in 0..<8 {
                group.addTask { for _ in 0..<10_000 { counter.increment() } }
            }
        }
        #expect(exposition.contains("parallel_total 80000\n"))
    }
}
