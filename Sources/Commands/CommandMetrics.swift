/// The metrics of a command bus.
public enum CommandMetrics {
    /// The help text of each metric, by its name.
    public static let help: [String: String] = [
        "cqrs_commands_total": "Commands by type and result.",
        "cqrs_command_duration_seconds": "Time from a command's arrival to its answer.",
        "millrace_commands_waiting": "Commands in the queue.",
        "millrace_command_batch_size": "Number of commands and queries in one transaction.",
        "millrace_command_retries_total":
            "Transactions that were repeated after a conflict or a temporary failure.",
        "millrace_command_answers_pruned_total":
            "Answers under idempotency keys that were deleted after their retention time.",
        "millrace_command_fact_lookups_total":
            "Facts that commands needed, by kind: a hit was in the cache, a miss was read from the database.",
        "millrace_command_fact_reads_saved_total":
            "Statements that were not needed because all facts of a kind were in the cache.",
        "millrace_command_fact_removals_total": "Notifications and commands that removed facts from the cache.",
        "millrace_command_facts_kept": "Facts in the cache.",
    ]
}
