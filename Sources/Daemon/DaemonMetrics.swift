/// The metrics that every daemon has.
enum DaemonMetrics {
    /// What each metric is, in one sentence, by its name.
    static let help: [String: String] = [
        "millrace_work_failures_total": "Number of times that the daemon's work failed and started again."
    ]
}
