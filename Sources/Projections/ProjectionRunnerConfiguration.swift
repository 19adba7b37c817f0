/// How a ``ProjectionRunner`` works. The defaults are for a projection that should be both quick and small.
public struct ProjectionRunnerConfiguration: Sendable {
    /// What to do when Kafka no longer has the records that come next, or has a topic of that name that was deleted and
    /// made again.
    public enum TruncatedHistoryPolicy: String, Sendable, CaseIterable {
        /// The partition stops: its read model would lack events.
        case stop
        /// The partition goes on from the oldest record that there is, loudly: for read models that may lack the past.
        case `continue`
    }

    /// The first part of the consumer group's name, `<service>.<projection>.v<version>`.
    public var service: String

    /// The name of this instance in the consumer group, which no other instance has: with it a restart within the
    /// session's time (6 s) needs no rebalance, and a stop leaves the partitions unread for that long. Nil for none.
    public var instanceID: String?

    /// Most records in one transaction.
    public var batchMaxRecords = 2_000
    /// Bytes of keys and values after which a batch takes no more; one record may pass it.
    public var batchMaxBytes = 4 << 20
    /// Milliseconds to wait for more records after the first; 0 takes what is there, which makes batches grow by
    /// themselves while PostgreSQL is busy.
    public var batchLingerMs = 0

    /// See ``TruncatedHistoryPolicy``.
    public var onTruncatedHistory = TruncatedHistoryPolicy.stop

    /// What becomes of an event that can never be decoded or applied.
    public var onFailure = FailurePolicy.stop

    /// Days that a partition of `processed_events` is kept after it was last written to.
    ///
    /// A second delivery of an event is recognised as long as the first one is remembered, so this must be longer than
    /// the longest time in which anything may deliver an event again: a relay that publishes rows whose acknowledgement
    /// it missed (minutes to its longest outage), operators who move offsets back, dead letters retried, a producer
    /// that repeats a day's events. It is no matter for restarts and rebalances, which the offsets decide.
    public var processedEventsRetentionDays = 7

    /// Milliseconds that a stop may take: the transaction under way, the last copy of the offsets, leaving the group.
    public var drainTimeoutMs = 20_000
    /// The first delay after a failure of the database, in milliseconds, before jitter.
    public var backoffInitialMs = 50
    /// No delay after a failure of the database is longer, in milliseconds.
    public var backoffCeilingMs = 10_000
    /// Attempts in a row at which the database refused everything, before the run ends with that error.
    public var refusedAttemptsLimit = 5
    /// Milliseconds between two copies of the offsets to Kafka, where lag tools look for them.
    public var offsetCopyIntervalMs = 1_000

    /// - Parameter service: the first part of the consumer group's name.
    public init(service: String) {
        self.service = service
    }

    /// What is wrong with the values, in words; empty when nothing is.
    public func validate() -> [String] {
        var problems: [String] = []
        func require(_ condition: Bool, _ problem: String) {
            if !condition { problems.append(problem) }
        }
        require(!service.isEmpty, "service is empty")
        require((1...100_000).contains(batchMaxRecords), "batchMaxRecords is not within 1…100000")
        require((1...(64 << 20)).contains(batchMaxBytes), "batchMaxBytes is not within 1…64 MiB")
        require((0...60_000).contains(batchLingerMs), "batchLingerMs is not within 0…60000")
        require((1...3_650).contains(processedEventsRetentionDays), "processedEventsRetentionDays is not within 1…3650")
        require(drainTimeoutMs > 0, "drainTimeoutMs is not positive")
        require(
            backoffInitialMs > 0 && backoffCeilingMs >= backoffInitialMs,
            "backoffInitialMs and backoffCeilingMs are not in order")
        require(refusedAttemptsLimit > 0, "refusedAttemptsLimit is not positive")
        require(offsetCopyIntervalMs > 0, "offsetCopyIntervalMs is not positive")
        if let route { problems += route.validate() }
        return problems
    }

    /// Where failures are parked; nil where they stop their partitions.
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
