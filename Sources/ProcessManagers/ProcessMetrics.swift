/// The metrics of process managers, besides those of their projections.
public enum ProcessMetrics {
    /// The help text of each metric, by its name.
    public static let help: [String: String] = [
        "millrace_processes_open": "Processes that are not finished, by stage.",
        "millrace_process_deadline_delay_seconds":
            "Time since the oldest deadline that is not handled; 0 if none has passed.",
        "millrace_processes_pruned_total": "Finished processes that were deleted because of their age.",
        "millrace_process_deadline_failures_total": "Failed attempts to handle a deadline; each is tried again.",
    ]
}
