internal import CoreMetrics
internal import Traces

/// The metrics of every daemon.
enum DaemonMetrics {
    /// One sentence for each metric, by its name.
    static let help: [String: String] = [
        "millrace_work_failures_total": "Number of times that the daemon's work failed and started again.",
        "millrace_reload_last_successful": "1 while the last reload of settings and files succeeded, else 0.",
        "millrace_reload_last_success_timestamp_seconds":
            "Time of the last successful reload, or of the start, in seconds since 1970.",
        "millrace_build_info": "1; the labels name the program and its version.",
    ].merging(TableStatistics.help) { own, _ in own }.merging(SpanExport.metricHelp) { own, _ in own }

    static func showBuild(of program: String) {
        Gauge(label: "millrace_build_info", dimensions: [("program", program), ("version", Release.version)]).record(1)
    }
}
