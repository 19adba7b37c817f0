/// The metrics of a command bus.
public enum CommandMetrics {
    /// What each metric is, in one sentence, by its name.
    public static let help: [String: String] = [
        "cqrs_commands_total": "Commands by type and by what became of them.",
        "cqrs_command_duration_seconds": "Time from a command's arrival to its answer.",
        "millrace_commands_waiting": "Commands that wait for their turn.",
        "millrace_command_batch_size": "Commands and questions that shared a transaction.",
        "millrace_command_retries_total":
            "Transactions that were tried again after a conflict or a failure that may pass.",
        "millrace_command_answers_pruned_total":
            "Answers under idempotency keys that were deleted after their retention.",
    ]
}
