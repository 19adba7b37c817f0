/// The metrics of the relay, for each shard. The name with the prefix `cqrs_` is the one that CQRS guides use.
public enum OutboxMetrics {
    /// The description of each metric, by its name.
    public static let help: [String: String] = [
        "millrace_outbox_published_total": "Events that Kafka acknowledged.",
        "millrace_outbox_failed_total": "Rows that were set aside because they can never be published.",
        "millrace_outbox_producer_restarts_total": "Producers that were replaced after a fatal error.",
        "millrace_outbox_leader": "1 while this process publishes the shard, else 0.",
        "cqrs_outbox_pending_events":
            "Upper bound of the events that Kafka has not acknowledged; NaN while the database does not answer.",
        "millrace_outbox_last_acknowledgement_timestamp_seconds":
            "Time of the last acknowledgement by Kafka, in seconds since 1970; 0 before the first.",
        "millrace_outbox_in_flight_rows": "Rows that were sent and are not acknowledged.",
        "millrace_outbox_blocked_keys": "Keys whose rows wait until an operator retries or discards a failed row.",
        "millrace_outbox_held_topics": "Topics that accept no records now.",
        "millrace_outbox_lag_seconds":
            "Age of the oldest event that was read and is not acknowledged; NaN while the database does not answer.",
        "millrace_outbox_database_up": "1 while the database answers, else 0.",
        "millrace_outbox_unremoved_rows": "Published rows that the database refuses to remove.",
        "millrace_outbox_headers_left_out_total": "Headers that are not allowed and were left out.",
        "millrace_outbox_page_rows": "Number of rows in a page.",
        "millrace_outbox_publish_seconds":
            "Time from an event to its acknowledgement, by the first event of each batch.",
    ]
}
