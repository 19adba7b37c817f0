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
        "millrace_command_fact_lookups_total":
            "Facts that commands looked for, by kind: a hit was in memory, a miss was read from the database.",
        "millrace_command_fact_reads_saved_total":
            "Statements that transactions did not need because all their facts of a kind were in memory.",
        "millrace_command_fact_removals_total": "Notifications and commands that removed facts from memory.",
        "millrace_command_facts_kept": "Facts in memory.",
    ]
}
