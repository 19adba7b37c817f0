/// The metrics of a projection. All have its name and version as labels. The metrics whose names begin with `cqrs_`
/// have names that are common for such systems.
public enum ProjectionMetrics {
    /// The help text of each metric, by its name.
    public static let help: [String: String] = [
        "millrace_projection_paused": "1 while an operator has paused the consumer, else 0.",
        "cqrs_events_processed_total":
            "Events that were applied, by type; the types that the projection does not name count as other.",
        "cqrs_event_processing_lag_seconds":
            "Age of the oldest record that is not applied, of all partitions that this process reads.",
        "millrace_projection_events_duplicate_total": "Events that were applied before and had no effect.",
        "millrace_projection_events_skipped_total": "Records that the projection skipped, by reason.",
        "millrace_projection_sequence_gaps_total": "Events whose sequence leaves a gap in their aggregate.",
        "millrace_projection_sequence_stale_total":
            "Events whose sequence is not above the last one of their aggregate.",
        "millrace_projection_batch_events": "Number of events in a committed batch.",
        "millrace_projection_transaction_seconds": "Duration of a batch's transaction.",
        "millrace_projection_last_commit_timestamp_seconds": "Time of the last committed batch, in seconds since 1970.",
        "millrace_projection_lag_records": "Records of a partition that are not applied yet.",
        "millrace_projection_lag_seconds": "Age of the oldest record of a partition that is not applied yet.",
        "millrace_projection_next_offset": "The next offset of a partition to apply.",
        "millrace_projection_log_start_offset": "Offset of the oldest record of a partition that Kafka still has.",
        "millrace_projection_rebalances_total": "Changes of the partitions that this process reads.",
        "millrace_projection_fenced_total": "Batches that were dropped because another process owns the partition.",
        "millrace_projection_records_taken_back_total":
            "Records that were applied and that the database has lost, so that they are applied again.",
        "millrace_projection_database_failures_total": "Failed attempts at a transaction.",
        "millrace_projection_kafka_failures_total": "Errors that the Kafka client reported.",
        "millrace_projection_stopped_partitions":
            "Partitions that stopped: an event cannot be applied, or Kafka no longer has the next records.",
        "millrace_projection_parked_events": "Events that wait as dead letters.",
        "millrace_projection_blocked_keys": "Keys whose events wait behind a dead letter.",
        "millrace_projection_circuit_breakers_open": "Partitions whose circuit breaker is open.",
        "millrace_projection_circuit_breaker_trials_failed_total": "Trials after which a circuit breaker stayed open.",
        "millrace_projection_partitions_without_letters": "Partitions that wait until Kafka accepts dead letters.",
        "millrace_projection_letters_total": "Dead letters that were written, by reason.",
        "millrace_projection_letter_failures_total": "Failed attempts to write dead letters.",
        "millrace_projection_retries_too_early_total":
            "Retries of events before the earlier events of their key.",
        "millrace_projection_retries_outdated_total":
            "Retries that came after a later one of the same event and had no effect.",
    ]
}
