internal import Daemon
public import Projections
public import ReadModels
public import Settings
internal import StreamCore

/// `[projection]`: how a daemon reads events and writes the read model.
public struct ProjectionSettings: Sendable {
    public var configuration: ProjectionRunnerConfiguration
    /// The suffix of the topics' names, for a program with one projection.
    public var topicSuffix: String
    /// The version of the read model to maintain.
    public private(set) var wish = VersionFollower.Wish.live
    private let failures: FailureSettings

    /// - Parameters:
    ///   - reader: reads the settings.
    ///   - consumer: the projection's name; nil for a program with several projections, whose topics are configured
    ///     elsewhere.
    ///   - order: the order of events that its read model needs with dead letters.
    ///   - hasVersions: whether its read model has versions, one of which may be selected.
    ///   - notifyChannel: the default channel that is notified of applied events; nil if nobody listens.
    public init(
        from reader: SettingsReader, consumer: String?, order: DeadLetterRoute.Order = .key, hasVersions: Bool = false,
        notifyChannel: String? = nil
    ) {
        let section = reader.section("projection", "How the daemon reads events and writes the read model.")
        let defaults = ProjectionRunnerConfiguration(service: "millrace")
        var runner = defaults
        runner.service = section.string(
            "service", default: defaults.service,
            "First part of the consumer group's name, which is service.projection.vN.")
        runner.instanceID = Self.instanceID(section, example: "\(consumer ?? "projections")-0")
        topicSuffix = "-events"
        if consumer != nil {
            topicSuffix = section.string(
                "topic_suffix", default: topicSuffix,
                """
                Suffix of the topics to read. The name of a topic is the aggregate type in lower case and this suffix. \
                Set it to the relay's topic_suffix.
                """)
        }
        if hasVersions {
            let version = section.integer(
                "version", default: 0, in: 0...1_000_000,
                """
                Version of the read model that this process writes. 0 writes the live version, and changes to another \
                one as soon as it is promoted. Set the number of a version that is being rebuilt to fill it in a \
                separate process. Such a process creates no dead letters: a partition stops before an event that \
                cannot be applied.
                """)
            wish = version == 0 ? .live : .version(version)
        }
        Self.readBatches(section, &runner)
        runner.notifyChannel = notifyChannel.flatMap { Self.notifyChannel(section, default: $0) }
        runner.onTruncatedHistory = section.choice(
            "on_truncated_history", default: defaults.onTruncatedHistory,
            """
            What happens to a partition when Kafka no longer has its next records, or when its topic was deleted and \
            created again. stop: the partition stops. continue: it continues with the oldest record that Kafka has.
            """)
        runner.processedEventsRetentionDays = section.integer(
            "processed_events_retention_days", default: defaults.processedEventsRetentionDays, in: 1...3_650,
            """
            How long the ids of applied events are kept, to recognise an event that is read again. Set it longer than \
            any replay, any offset that you move back, and any repetition by a producer. Restarts and rebalances do \
            not matter here.
            """)
        runner.drainTimeoutMs = section.integer(
            "drain_timeout_ms", default: defaults.drainTimeoutMs, in: 100...600_000,
            "Maximum time that a shutdown waits for the current transaction and for leaving the consumer group.")
        runner.backoffInitialMs = section.integer(
            "backoff_initial_ms", default: defaults.backoffInitialMs, in: 1...60_000,
            "Delay before the first retry after a failure of the database.")
        runner.backoffCeilingMs = section.integer(
            "backoff_ceiling_ms", default: defaults.backoffCeilingMs, in: 1...600_000,
            "Maximum delay between two of these retries.")
        runner.refusedAttemptsLimit = section.integer(
            "refused_attempts_limit", default: defaults.refusedAttemptsLimit, in: 1...1_000_000,
            """
            Number of consecutive attempts that the database may refuse, for example because a table is missing. After \
            that, a daemon that is starting exits with code 78. A daemon that has started begins its work again after a \
            delay.
            """)
        runner.offsetCopyIntervalMs = section.integer(
            "offset_copy_interval_ms", default: defaults.offsetCopyIntervalMs, in: 10...600_000,
            "Interval at which the daemon copies its offsets to Kafka, where lag tools read them.")
        section.reject(runner.validate())
        failures = FailureSettings(from: reader, consumer: consumer, order: order)
        runner.onFailure = failures.policy(of: consumer ?? "", order: order)
        runner.liveBatches = Live(runner.batches)
        configuration = runner
    }

    /// See `FeatureSettings`.
    public static let reloadableKeys = ["batch_max_records", "batch_max_bytes", "batch_linger_ms"].map {
        "projection." + $0
    }

    /// See `FeatureSettings`.
    public func adopt(_ reloaded: Self) {
        configuration.liveBatches?.set(reloaded.configuration.batches)
    }

    private static func notifyChannel(_ section: SectionReader, default name: String) -> String? {
        let channel = section.string(
            "notify_channel", default: name,
            """
            Channel of PostgreSQL's NOTIFY for applied events. The daemon notifies it after each transaction, and \
            query-service answers requests with min_version at once. Set it to queries.notify_channel of \
            query-service. "" sends no notification; such a request is then answered some milliseconds later.
            """, check: NotifyChannels.problem)
        return NotifyChannels.channel(channel)
    }

    private static func readBatches(_ section: SectionReader, _ runner: inout ProjectionRunnerConfiguration) {
        let defaults = runner
        runner.batchMaxRecords = section.integer(
            "batch_max_records", default: defaults.batchMaxRecords, in: 1...100_000,
            "Maximum number of records in one transaction. SIGHUP applies a change without a restart.")
        runner.batchMaxBytes = section.integer(
            "batch_max_bytes", default: defaults.batchMaxBytes, in: 1...(64 << 20),
            """
            Size at which a transaction takes no more records. The last record may exceed it. Lower it to use less \
            memory. SIGHUP applies a change without a restart.
            """)
        runner.batchLingerMs = section.integer(
            "batch_linger_ms", default: defaults.batchLingerMs, in: 0...60_000,
            """
            Maximum time that a batch waits for more records after its first. 0 commits the records that are there. \
            Raise it to get fewer, larger transactions. SIGHUP applies a change without a restart.
            """)
    }

    /// The configuration of one of several projections.
    ///
    /// - Parameter order: the order of events that its read model needs with dead letters.
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
            Name of this instance in the consumer group, unique among the running instances (in Kubernetes the name \
            of a StatefulSet's pod). With a name, a restart within session.timeout.ms of kafka.properties (6000 by \
            default) needs no rebalance, but after a shutdown other instances take over its partitions only after \
            that time. Without a name they take over at once.
            """
        ) { $0.isEmpty ? "must not be empty" : nil }
    }
}
