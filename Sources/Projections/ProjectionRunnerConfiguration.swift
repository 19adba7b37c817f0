public import StreamCore

/// The settings of a ``ProjectionRunner``. The defaults suit a projection that should be fast and small.
public struct ProjectionRunnerConfiguration: Sendable {
    /// The reaction if Kafka no longer has the next records, or if the topic was deleted and created again.
    public enum TruncatedHistoryPolicy: String, Sendable, CaseIterable {
        /// The partition stops, because its read model would lack events.
        case stop
        /// The partition continues with the oldest record and logs an error: for read models that may lack old events.
        case `continue`
    }

    /// First part of the consumer group's name, `<service>.<projection>.v<version>`.
    public var service: String

    /// The name of this instance in the consumer group, unique in the group. With it, a restart within the session
    /// timeout (6 s) needs no rebalance, but after a shutdown the partitions are not read for that time. Nil for none.
    public var instanceID: String?

    /// Maximum number of records in one transaction.
    public var batchMaxRecords = 2_000
    /// Size of keys and values in bytes at which a batch takes no more records. The last record may exceed it.
    public var batchMaxBytes = 4 << 20
    /// Time to wait for more records after the first one, in milliseconds. With 0 a batch contains the records that are
    /// there. Batches then grow automatically while PostgreSQL is busy.
    public var batchLingerMs = 0

    /// Limits that may change while the runner runs. They replace the three settings above from the next batch on; nil
    /// if the settings do not change.
    public var liveBatches: Live<Batches>?

    /// The limits of a batch.
    public struct Batches: Sendable, Equatable {
        public let maxRecords: Int
        public let maxBytes: Int
        public let lingerMs: Int
    }

    /// The configured limits of a batch.
    public var batches: Batches {
        Batches(maxRecords: batchMaxRecords, maxBytes: batchMaxBytes, lingerMs: batchLingerMs)
    }

    /// A rate limit that several runners share, in records per second; nil for no limit.
    public var pace: RecordPace?

    /// The channel of a NOTIFY that is sent after the commit of each batch that changed the read model; nil for none. A
    /// process that waits for an event to be applied then checks at once, instead of at its next turn.
    public var notifyChannel: String?

    /// See ``TruncatedHistoryPolicy``.
    public var onTruncatedHistory = TruncatedHistoryPolicy.stop

    /// The treatment of an event that can never be decoded or applied.
    public var onFailure = FailurePolicy.stop

    /// Time after the last write for which a partition of `processed_events` is kept, in days.
    ///
    /// A repeated event is recognised while its first delivery is recorded. The retention must therefore be longer than
    /// the longest time after which an event may be delivered again: by a relay that publishes rows again after a lost
    /// acknowledgement (minutes, or its longest outage), by operators who move offsets back, by retries of dead
    /// letters, or by a producer that repeats the events of a day. Restarts and rebalances do not matter, because the
    /// offsets cover them.
    public var processedEventsRetentionDays = 7

    /// Maximum time of a shutdown, in milliseconds. It includes the current transaction, the last copy of the offsets
    /// and leaving the group.
    public var drainTimeoutMs = 20_000
    /// The first delay after a failure of the database, in milliseconds, before jitter.
    public var backoffInitialMs = 50
    /// Maximum delay after a failure of the database, in milliseconds.
    public var backoffCeilingMs = 10_000
    /// Number of consecutive attempts that the database may refuse before the run ends with the error.
    public var refusedAttemptsLimit = 5
    /// Time between two copies of the offsets to Kafka, where lag tools read them, in milliseconds.
    public var offsetCopyIntervalMs = 1_000

    /// - Parameter service: first part of the consumer group's name.
    public init(service: String) {
        self.service = service
    }

    /// The problems of the values; empty if there are none.
    public func validate() -> [String] {
        var problems: [String] = []
        func require(_ condition: Bool, _ problem: String) {
            if !condition { problems.append(problem) }
        }
        require(!service.isEmpty, "service is empty")
        require(notifyChannel != "", "notifyChannel is empty")
        require((1...100_000).contains(batchMaxRecords), "batchMaxRecords is outside 1…100000")
        require((1...(64 << 20)).contains(batchMaxBytes), "batchMaxBytes is outside 1…64 MiB")
        require((0...60_000).contains(batchLingerMs), "batchLingerMs is outside 0…60000")
        require((1...3_650).contains(processedEventsRetentionDays), "processedEventsRetentionDays is outside 1…3650")
        require(drainTimeoutMs > 0, "drainTimeoutMs is not positive")
        require(
            backoffInitialMs > 0 && backoffCeilingMs >= backoffInitialMs,
            "backoffInitialMs and backoffCeilingMs must be positive and in ascending order")
        require(refusedAttemptsLimit > 0, "refusedAttemptsLimit is not positive")
        require(offsetCopyIntervalMs > 0, "offsetCopyIntervalMs is not positive")
        if let route { problems += route.validate() }
        return problems
    }

    /// The topics of dead letters; nil if failures stop their partitions.
    var route: DeadLetterRoute? {
        if case .park(let route) = onFailure { route } else { nil }
    }

    /// The consumer group of a projection.
    public func consumerGroup(of projection: some Projection) -> String {
        "\(service).\(projection.name).v\(projection.version)"
    }

    var stateSettings: RunnerState.Settings {
        var settings = RunnerState.Settings()
        settings.copyInterval = .milliseconds(offsetCopyIntervalMs)
        settings.backoffInitial = .milliseconds(backoffInitialMs)
        settings.backoffCeiling = .milliseconds(backoffCeilingMs)
        settings.everythingFailureLimit = refusedAttemptsLimit
        settings.continuesAfterTruncation = onTruncatedHistory == .continue
        settings.drainTimeout = .milliseconds(drainTimeoutMs)
        if let route {
            settings.parks = true
            settings.retryTopic = route.retryTopic
            settings.probeInitial = .milliseconds(route.probeInitialMs)
            settings.probeCeiling = .milliseconds(route.probeCeilingMs)
        }
        return settings
    }
}
