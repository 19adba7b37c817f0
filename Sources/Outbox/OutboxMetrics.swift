/// The metrics of the relay, all by shard.
public enum OutboxMetrics {
    /// What each metric is, in one sentence, by its name.
    public static let help: [String: String] = [
        "outbox_published_total": "Events that Kafka acknowledged.",
        "outbox_failed_total": "Rows that were set aside because they can never be published.",
        "outbox_producer_restarts_total": "Producers that were replaced after a fatal error.",
        "outbox_leader": "1 while this process publishes the shard, else 0.",
        "outbox_backlog_rows": "Upper bound of the rows that are not sent yet; NaN while the database does not answer.",
        "outbox_in_flight_rows": "Rows that were sent and are not acknowledged.",
        "outbox_blocked_keys": "Keys whose rows wait until an operator retries or discards a failed row.",
        "outbox_held_topics": "Topics that accept no records now.",
        "outbox_lag_seconds":
            "Age of the oldest event that was read and is not acknowledged; NaN while the database does not answer.",
        "outbox_database_up": "1 while the database answers, else 0.",
        "outbox_unremoved_rows": "Published rows that the database refuses to remove.",
        "outbox_headers_left_out_total": "Headers that are not allowed and were left out.",
        "outbox_page_rows": "Number of rows in a page.",
        "outbox_publish_seconds": "Time from an event to its acknowledgement, by the first event of each batch.",
    ]
}
