internal import Glibc
internal import Letters
internal import Logging
internal import Metrics
internal import StreamCore

/// The log lines, metrics and health reports of a run. Each method writes the log line and the metric of one kind of
/// event.
struct ProjectionTelemetry {
    private let logger: Logger
    private let dimensions: [(String, String)]
    private let observer: (any ProjectionObserver)?

    private let series: ProjectionSeries
    private var letters: [Letter.Reason: Counter] = [:]
    private var skipped: [SkipReason: Counter] = [:]
    private var metrics: [TopicPartition: PartitionMetrics] = [:]
    private var stopped: Set<TopicPartition> = []
    private var held: [PartitionHold: Set<TopicPartition>] = [:]

    private var lastDatabaseLine: ContinuousClock.Instant?
    private var lastKafkaLine: ContinuousClock.Instant?
    private var lastLetterLine: ContinuousClock.Instant?
    private var isDatabaseFailing = false
    private var lastSequenceLine: ContinuousClock.Instant?
    private static let rarely = Duration.seconds(60)

    init(projection: some Projection, logger: Logger, observer: (any ProjectionObserver)?) {
        let dimensions = [("projection", projection.name), ("version", String(projection.version))]
        self.dimensions = dimensions
        self.observer = observer
        var logger = logger
        logger[metadataKey: "projection"] = "\(projection.name)"
        logger[metadataKey: "version"] = "\(projection.version)"
        self.logger = logger
        series = ProjectionSeries(projection, dimensions)
    }

    // MARK: batches

    mutating func taken(_ parts: [BatchLayout.Part], skipped counts: [SkipReason: Int]) {
        let dimensions = dimensions
        for part in parts {
            if let oldest = part.oldestMs {
                metrics[part.partition, default: PartitionMetrics(part.partition, dimensions)]
                    .lag.took(upTo: part.end, oldestMs: oldest)
            }
        }
        for (reason, count) in counts {
            let counter =
                skipped[reason]
                ?? Counter(
                    label: ProjectionSeries.label("events_skipped_total"),
                    dimensions: dimensions + [("reason", reason.name)])
            skipped[reason] = counter
            counter.increment(by: count)
        }
    }

    /// - Parameters:
    ///   - order: the work that was committed.
    ///   - types: the number of applied events of each type, in the order of ``EventTypes``.
    ///   - duplicateCount: the number of events that were applied before.
    ///   - took: the duration of the transaction.
    mutating func committed(_ order: WriteOrder, applied types: [Int], duplicates duplicateCount: Int, took: Duration) {
        var count = 0
        for (counter, number) in zip(series.processed, types) where number > 0 {
            counter.increment(by: number)
            count += number
        }
        series.duplicates.increment(by: duplicateCount)
        series.batchSize.record(count + duplicateCount)
        series.transactionTime.recordNanoseconds(Int64(took / .nanoseconds(1)))
        series.lastCommit.record(Double(time(nil)))
        logger.debug(
            "batch committed",
            metadata: [
                "applied": "\(count)", "duplicates": "\(duplicateCount)", "partitions": "\(order.moves.count)",
                "ms": "\(took / .milliseconds(1))",
            ])
    }

    mutating func observed(_ counts: SequenceWatch.Counts) {
        guard counts.gaps > 0 || counts.stale > 0 else { return }
        series.gaps.increment(by: counts.gaps)
        series.stale.increment(by: counts.stale)
        guard Self.isDue(&lastSequenceLine) else { return }
        logger.warning(
            "sequences of aggregates have gaps or go back; counted, at most one line a minute",
            metadata: [
                "gaps": "\(counts.gaps)", "stale": "\(counts.stale)",
                "example_aggregate": "\(counts.exampleAggregateID ?? "")",
            ])
    }

    // MARK: dead letters

    mutating func parked(_ counts: ParkingCounts) {
        series.earlyRetries.increment(by: counts.tooEarly)
        series.outdatedRetries.increment(by: counts.outdated)
        guard !counts.letters.isEmpty else { return }
        var metadata: Logger.Metadata = [:]
        for (reason, count) in counts.letters {
            counter(of: reason).increment(by: count)
            metadata[reason.rawValue] = "\(count)"
        }
        guard let (origin, failed) = counts.example else {
            return logger.info("dead letters written", metadata: metadata)
        }
        metadata["topic"] = "\(origin.partition.topic)"
        metadata["partition"] = "\(origin.partition.partition)"
        metadata["offset"] = "\(origin.offset)"
        metadata["stage"] = "\(failed.stage.rawValue)"
        metadata["error_class"] = "\(failed.failure.errorClass)"
        metadata["error"] = "\(failed.failure.message)"
        metadata["event_id"] = failed.failure.eventID.map { "\($0)" }
        logger.warning("events parked as dead letters; this line shows one that failed", metadata: metadata)
    }

    private mutating func counter(of reason: Letter.Reason) -> Counter {
        let counter =
            letters[reason]
            ?? Counter(
                label: ProjectionSeries.label("letters_total"), dimensions: dimensions + [("reason", reason.rawValue)])
        letters[reason] = counter
        return counter
    }

    func counted(rows: Int64, keys: Int64) {
        series.parkedRows.record(rows)
        series.blockedKeys.record(keys)
    }

    func pruned(_ count: Int) {
        guard count > 0 else { return }
        logger.info("dropped partitions of processed_events past their retention", metadata: ["count": "\(count)"])
    }

    // MARK: progress

    func loopTurned() {
        observer?.loopTurned()
    }

    mutating func standing(_ partition: TopicPartition, next: Int64, end: Int64?) {
        let hasNowhereToGo = stopped.contains(partition) || held.values.contains { $0.contains(partition) }
        observer?.partition(partition, isAt: next, of: hasNowhereToGo ? nil : end)
        let dimensions = dimensions
        metrics[partition, default: PartitionMetrics(partition, dimensions)].stands(at: next, of: end)
    }

    /// Records the lag of all partitions, after each of them was reported.
    func stood() {
        series.lagSeconds.record(metrics.values.map(\.lagSeconds).max() ?? 0)
    }

    mutating func logsBegin(at offsets: [TopicPartition: Int64]) {
        for (partition, offset) in offsets { metrics[partition]?.logBegins(at: offset) }
    }

    // MARK: changes of state

    mutating func report(_ note: RunnerNote) {
        switch note {
        case .assigned(let partitions):
            series.rebalances.increment()
            logger.info("partitions assigned", metadata: ["partitions": "\(PartitionRanges.text(partitions))"])
            observer?.assignmentBegan()
        case .started(let offsets):
            logger.info("reading", metadata: ["from": "\(PartitionRanges.text(offsets))"])
        case .revoked(let partitions):
            logger.info("partitions revoked", metadata: ["partitions": "\(PartitionRanges.text(partitions))"])
            released(partitions)
        case .lost(let partitions):
            logger.warning(
                "partitions lost: the group has reassigned them; no more of their events are written",
                metadata: ["partitions": "\(PartitionRanges.text(partitions))"])
            released(partitions)
        case .stopped(let partition): stopped(partition)
        case .rewound(let stopped, let low): rewound(stopped, to: low)
        case .unverified(let partition, let next, let mark):
            logger.notice(
                "Kafka has deleted the last applied record, so the topic cannot be checked for a replacement",
                metadata: [
                    "topic": "\(partition.topic)", "partition": "\(partition.partition)", "next_offset": "\(next)",
                    "last_offset": "\(mark.offset)",
                ])
        case .fenced(let partitions):
            series.fences.increment()
            logger.warning(
                "another process moved the offsets; the batch is dropped and the offsets are read again",
                metadata: ["partitions": "\(PartitionRanges.text(partitions))"])
        case .wentBack(let partitions): wentBack(partitions)
        case .split(let failure):
            logger.debug("one event of a batch failed; splitting the batch", metadata: ["error": "\(failure)"])
        case .breaker, .trialFailed, .lettersFailing, .cannotPark, .canPark: reportHolds(note)
        case .settled(let outcome):
            logger.info("the outcome of a transaction is known now", metadata: ["outcome": "\(outcome)"])
        case .stalled(let isStalled):
            logger.debug(isStalled ? "partitions paused: the database is behind" : "partitions resumed")
        case .databaseFailing, .databaseRecovered, .kafkaFailing, .examinationFailed: reportAvailability(note)
        }
    }

    private mutating func reportAvailability(_ note: RunnerNote) {
        switch note {
        case .databaseFailing(let failure, let attempt):
            series.databaseFailures.increment()
            if attempt > 1 || !failure.mayConcernOneEvent {
                isDatabaseFailing = true
                observer?.databaseFailing(because: "\(failure.underlying)")
            }
            guard attempt == 1 && failure.kind != .transient || Self.isDue(&lastDatabaseLine) else { return }
            logger.warning(
                "the database's work failed; trying again",
                metadata: ["error": "\(failure.underlying)", "attempt": "\(attempt)"])
        case .databaseRecovered:
            if isDatabaseFailing {
                isDatabaseFailing = false
                observer?.databaseRecovered()
            }
            guard lastDatabaseLine != nil else { return }
            lastDatabaseLine = nil
            logger.info("the database works again")
        case .kafkaFailing(let error):
            series.kafkaFailures.increment()
            guard Self.isDue(&lastKafkaLine) else { return }
            logger.warning("the Kafka client reports an error; it tries again", metadata: ["error": "\(error)"])
        case .examinationFailed(let partition, let error):
            series.kafkaFailures.increment()
            guard Self.isDue(&lastKafkaLine) else { return }
            logger.warning(
                "Kafka does not report the offsets of a partition; asking again",
                metadata: [
                    "topic": "\(partition.topic)", "partition": "\(partition.partition)", "error": "\(error)",
                ])
        default: break
        }
    }

    // MARK: partitions that are held

    private mutating func reportHolds(_ note: RunnerNote) {
        switch note {
        case .breaker(let partition, .open(let kinds)):
            let reason = kinds.map(\.description).joined(separator: "; ")
            held(.circuitBreaker, partition, "open: \(reason)")
            logger.critical(
                """
                circuit breaker open: too many events of the partition failed, so no more of them are parked, and one \
                event at a time is tried until one can be applied; other partitions continue
                """, metadata: Self.metadata(partition).merging(["reason": "\(reason)"]) { first, _ in first })
        case .breaker(let partition, .closed(let by)):
            ended(.circuitBreaker, partition)
            if by == .success { counter(of: .breakerClosed).increment() }
            logger.warning(
                by == .success
                    ? "circuit breaker closed: an event could be applied; the partition continues"
                    : "circuit breaker closed by an operator or another instance; the partition continues",
                metadata: Self.metadata(partition))
        case .trialFailed(let partition, let failure):
            series.trials.increment()
            logger.info(
                "circuit breaker stays open: the tried event fails",
                metadata: Self.metadata(partition).merging(["error": "\(failure)"]) { first, _ in first })
        case .lettersFailing(let error):
            series.letterFailures.increment()
            guard Self.isDue(&lastLetterLine) else { return }
            logger.error(
                """
                Kafka accepts no dead letters; partitions whose next event needs one wait before it, and all others \
                continue
                """, metadata: ["error": "\(error)"])
        case .cannotPark(let partition):
            held(.deadLetters, partition, "Kafka accepts no dead letter, and the next event needs one")
            logger.warning("partition held: its next event needs a dead letter", metadata: Self.metadata(partition))
        case .canPark(let partition):
            ended(.deadLetters, partition)
            lastLetterLine = nil
            logger.info("partition continues: Kafka accepts dead letters again", metadata: Self.metadata(partition))
        default: break
        }
    }

    private static func metadata(_ partition: TopicPartition) -> Logger.Metadata {
        ["topic": "\(partition.topic)", "partition": "\(partition.partition)"]
    }

    private mutating func held(_ hold: PartitionHold, _ partition: TopicPartition, _ reason: String) {
        held[hold, default: []].insert(partition)
        observer?.partition(partition, isHeldBy: hold, because: reason)
        recordHolds()
    }

    private mutating func ended(_ hold: PartitionHold, _ partition: TopicPartition) {
        guard held[hold]?.remove(partition) != nil else { return }
        observer?.partition(partition, isNoLongerHeldBy: hold)
        recordHolds()
    }

    private func recordHolds() {
        series.openBreakers.record(held[.circuitBreaker]?.count ?? 0)
        series.partitionsWithoutLetters.record(held[.deadLetters]?.count ?? 0)
    }

    // MARK: partitions that are not read

    private mutating func stopped(_ partition: StoppedPartition) {
        stopped.insert(partition.partition)
        series.stoppedPartitions.record(stopped.count)
        observer?.partitionStopped(partition)
        var metadata: Logger.Metadata = [
            "topic": "\(partition.partition.topic)", "partition": "\(partition.partition.partition)",
            "offset": "\(partition.offset)", "error_class": "\(partition.errorClass)",
        ]
        switch partition.reason {
        case .failedEvent(let stage, let failure):
            metadata["stage"] = "\(stage.rawValue)"
            metadata["error"] = "\(failure.message)"
            metadata["event_id"] = failure.eventID.map { "\($0)" }
            logger.error("partition stopped: this event can never be applied", metadata: metadata)
        case .truncatedHistory(let low, let high):
            (metadata["low"], metadata["high"]) = ("\(low)", "\(high)")
            metadata["way_out"] = Self.wayOut
            logger.error("partition stopped: Kafka no longer has the next records", metadata: metadata)
        case .replacedTopic(let low, let high):
            (metadata["low"], metadata["high"]) = ("\(low)", "\(high)")
            metadata["way_out"] = Self.wayOut
            logger.error(
                """
                partition stopped: Kafka has another record in the place of the last applied one, so the topic was \
                deleted and created again, or its log was replaced
                """, metadata: metadata)
        }
    }

    private mutating func wentBack(_ partitions: [TopicPartition: (from: Int64, to: Int64)]) {
        let records = partitions.values.reduce(0) { $0 + $1.from - $1.to }
        series.takenBack.increment(by: records)
        for partition in partitions.keys where stopped.remove(partition) != nil {
            observer?.partitionReleased(partition)
        }
        series.stoppedPartitions.record(stopped.count)
        logger.warning(
            """
            the database has lost committed transactions (failover to a replica without them, a crash without \
            synchronous commits, or a restored backup); the lost events are applied again
            """,
            metadata: [
                "from": "\(PartitionRanges.text(partitions.mapValues(\.to)))",
                "was_at": "\(PartitionRanges.text(partitions.mapValues(\.from)))", "records": "\(records)",
            ])
    }

    private static let wayOut: Logger.MetadataValue = """
        to continue with the oldest record that Kafka has, start once with \
        --set projection.on_truncated_history=continue
        """

    /// Logs that the partition would have stopped here without ``ProjectionRunnerConfiguration/onTruncatedHistory``.
    private func rewound(_ stopped: StoppedPartition, to low: Int64) {
        let metadata: Logger.Metadata = [
            "topic": "\(stopped.partition.topic)", "partition": "\(stopped.partition.partition)",
            "next_offset": "\(stopped.offset)", "from": "\(low)",
        ]
        if case .replacedTopic = stopped.reason {
            logger.error(
                "the topic was deleted and created again; reading it from its beginning", metadata: metadata)
        } else {
            logger.error(
                "Kafka no longer has the next records; continuing without them (on_truncated_history)",
                metadata: metadata)
        }
    }

    private mutating func released(_ partitions: [TopicPartition]) {
        series.rebalances.increment()
        observer?.assignmentEnded()
        for partition in partitions {
            observer?.partitionReleased(partition)
            stopped.remove(partition)
            for hold in PartitionHold.allCases { ended(hold, partition) }
            // Only the owner of a partition reports its lag.
            metrics.removeValue(forKey: partition)?.destroy()
        }
        series.stoppedPartitions.record(stopped.count)
    }

    private static func isDue(_ last: inout ContinuousClock.Instant?) -> Bool {
        let now = ContinuousClock.now
        if let last, now - last < rarely { return false }
        last = now
        return true
    }
}
