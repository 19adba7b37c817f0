internal import Daemon
public import Projections
public import Settings

/// `[projection]`: how a read model is kept.
public struct ProjectionSettings: Sendable {
    public var configuration: ProjectionRunnerConfiguration
    /// Ends the names of the topics of a program with one projection.
    public var topicSuffix: String
    private let failures: FailureSettings

    /// - Parameters:
    ///   - consumer: the projection's name; nil for a program with several, which have their topics from elsewhere.
    ///   - order: what its read model needs of dead letters.
    public init(from reader: SettingsReader, consumer: String?, order: DeadLetterRoute.Order = .key) {
        let section = reader.section("projection", "How the read model is kept.")
        let defaults = ProjectionRunnerConfiguration(service: "millrace")
        var runner = defaults
        runner.service = section.string(
            "service", default: defaults.service,
            "The first part of the consumer group's name, service.projection.vN.")
        runner.instanceID = Self.instanceID(section, example: "\(consumer ?? "projections")-0")
        topicSuffix = "-events"
        if consumer != nil {
            topicSuffix = section.string(
                "topic_suffix", default: topicSuffix,
                "The topics to read are an aggregate type in lower case and this, as the relay's setting of that name.")
        }
        runner.batchMaxRecords = section.integer(
            "batch_max_records", default: defaults.batchMaxRecords, in: 1...100_000, "Most records in one transaction.")
        runner.batchMaxBytes = section.integer(
            "batch_max_bytes", default: defaults.batchMaxBytes, in: 1...(64 << 20),
            "Bytes after which a transaction takes no more; one record may pass it.")
        runner.batchLingerMs = section.integer(
            "batch_linger_ms", default: defaults.batchLingerMs, in: 0...60_000,
            "How long a batch waits for more records after its first; 0 takes what is there.")
        runner.onTruncatedHistory = section.choice(
            "on_truncated_history", default: defaults.onTruncatedHistory,
            """
            What to do when Kafka no longer has the records that come next, or has a topic of that name that was \
            deleted and made again: stop the partition, or go on from the oldest record that there is.
            """)
        runner.processedEventsRetentionDays = section.integer(
            "processed_events_retention_days", default: defaults.processedEventsRetentionDays, in: 1...3_650,
            """
            Days that processed events are remembered. Longer than anything may take to deliver an event again: \
            replays, offsets moved back, a producer's repetitions. Restarts and rebalances do not count.
            """)
        runner.drainTimeoutMs = section.integer(
            "drain_timeout_ms", default: defaults.drainTimeoutMs, in: 100...600_000,
            "How long a stop may take: the transaction under way, and leaving the group.")
        runner.backoffInitialMs = section.integer(
            "backoff_initial_ms", default: defaults.backoffInitialMs, in: 1...60_000,
            "The first wait after a failure of the database.")
        runner.backoffCeilingMs = section.integer(
            "backoff_ceiling_ms", default: defaults.backoffCeilingMs, in: 1...600_000, "The longest such wait.")
        runner.refusedAttemptsLimit = section.integer(
            "refused_attempts_limit", default: defaults.refusedAttemptsLimit, in: 1...1_000_000,
            "After so many attempts in a row that the database refused the process ends with exit code 78.")
        runner.offsetCopyIntervalMs = section.integer(
            "offset_copy_interval_ms", default: defaults.offsetCopyIntervalMs, in: 10...600_000,
            "The time between two copies of the offsets to Kafka, where lag tools look for them.")
        section.reject(runner.validate())
        failures = FailureSettings(from: reader, consumer: consumer, order: order)
        runner.onFailure = failures.policy(of: consumer ?? "", order: order)
        configuration = runner
    }

    /// What counts for one of several projections.
    ///
    /// - Parameter order: what its read model needs of dead letters.
    public func configuration(of consumer: String, order: DeadLetterRoute.Order) -> ProjectionRunnerConfiguration {
        var configuration = configuration
        configuration.onFailure = failures.policy(of: consumer, order: order)
        return configuration
    }

    /// Reads `instance_id`, the name of a static member of the consumer group.
    public static func instanceID(_ section: SectionReader, example: String) -> String? {
        section.optionalString(
            "instance_id", example: example,
            """
            The name of this instance in the consumer group, which no other running instance may have (in \
            Kubernetes the name of a StatefulSet's pod). With it a restart within the session's time needs no \
            rebalance, and after a stop nobody reads this instance's partitions for that long; without it a stop \
            gives them to the others at once. The time is session.timeout.ms of kafka.properties, 6000 by \
            default.
            """
        ) { $0.isEmpty ? "must not be empty" : nil }
    }
}
