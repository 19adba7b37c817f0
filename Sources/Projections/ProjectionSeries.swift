internal import Metrics

/// The metrics of a projection without labels of partitions.
struct ProjectionSeries {
    /// The counters by event type, in the order of ``EventTypes``.
    let processed: [Counter]
    let lagSeconds: Gauge
    let duplicates: Counter
    let gaps: Counter
    let stale: Counter
    let batchSize: Recorder
    let transactionTime: Metrics.Timer
    let lastCommit: Gauge
    let rebalances: Counter
    let fences: Counter
    let takenBack: Counter
    let databaseFailures: Counter
    let kafkaFailures: Counter
    let stoppedPartitions: Gauge
    let parkedRows: Gauge
    let blockedKeys: Gauge
    let openBreakers: Gauge
    let partitionsWithoutLetters: Gauge
    let trials: Counter
    let letterFailures: Counter
    let earlyRetries: Counter
    let outdatedRetries: Counter

    init(_ projection: some Projection, _ dimensions: [(String, String)]) {
        func counter(_ name: String) -> Counter { Counter(label: Self.label(name), dimensions: dimensions) }
        processed = EventTypes(projection.eventTypes).names.map { type in
            Counter(label: "cqrs_events_processed_total", dimensions: dimensions + [("event_type", type)])
        }
        lagSeconds = Gauge(label: "cqrs_event_processing_lag_seconds", dimensions: dimensions)
        lagSeconds.record(0)
        duplicates = counter("events_duplicate_total")
        gaps = counter("sequence_gaps_total")
        stale = counter("sequence_stale_total")
        rebalances = counter("rebalances_total")
        fences = counter("fenced_total")
        takenBack = counter("records_taken_back_total")
        databaseFailures = counter("database_failures_total")
        kafkaFailures = counter("kafka_failures_total")
        batchSize = Recorder(label: Self.label("batch_events"), dimensions: dimensions)
        transactionTime = Metrics.Timer(label: Self.label("transaction_seconds"), dimensions: dimensions)
        lastCommit = Gauge(label: Self.label("last_commit_timestamp_seconds"), dimensions: dimensions)
        stoppedPartitions = Gauge(label: Self.label("stopped_partitions"), dimensions: dimensions)
        stoppedPartitions.record(0)
        parkedRows = Gauge(label: Self.label("parked_events"), dimensions: dimensions)
        blockedKeys = Gauge(label: Self.label("blocked_keys"), dimensions: dimensions)
        openBreakers = Gauge(label: Self.label("circuit_breakers_open"), dimensions: dimensions)
        openBreakers.record(0)
        partitionsWithoutLetters = Gauge(label: Self.label("partitions_without_letters"), dimensions: dimensions)
        partitionsWithoutLetters.record(0)
        trials = counter("circuit_breaker_trials_failed_total")
        letterFailures = counter("letter_failures_total")
        earlyRetries = counter("retries_too_early_total")
        outdatedRetries = counter("retries_outdated_total")
    }

    static func label(_ name: String) -> String { "millrace_projection_\(name)" }
}
