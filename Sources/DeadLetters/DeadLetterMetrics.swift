/// The metrics of the dead letter handler.
public enum DeadLetterMetrics {
    /// The help text of each metric, by its name.
    public static let help: [String: String] = [
        "millrace_dead_letters": "Dead letters by consumer, error class, reason and state.",
        "millrace_dead_letters_oldest_open_seconds": "Age of the oldest letter that is pending or being retried.",
        "millrace_dead_letters_sends_waiting": "Letters that wait to be sent to Kafka.",
        "millrace_dead_letters_sender": "1 while this process sends the letters, else 0.",
        "millrace_dead_letters_scheduled_total": "Retries that became due.",
        "millrace_dead_letters_stuck_total": "Letters that were sent again because no consumer answered.",
        "millrace_dead_letters_pruned_total": "Letters that were deleted after their retention.",
        "millrace_dead_letters_results_total": "Results of retries, by consumer and result.",
        "millrace_dead_letters_alerts_total": "Alerts by kind and outcome.",
    ]
}
