internal import CoreMetrics

/// The metrics that every daemon has.
enum DaemonMetrics {
    /// What each metric is, in one sentence, by its name.
    static let help: [String: String] = [
        "millrace_work_failures_total": "Number of times that the daemon's work failed and started again.",
        "millrace_build_info": "1; the labels name the program and its version.",
    ].merging(TableStatistics.help) { own, _ in own }

    static func showBuild(of program: String) {
        Gauge(label: "millrace_build_info", dimensions: [("program", program), ("version", Release.version)]).record(1)
    }
}
