internal import Kafka
internal import Logging
internal import Metrics
internal import StreamCore
internal import Synchronization

/// Reports the state of a shard: log lines, metrics and progress, once for each batch or change of state.
final class RelayReports: Sendable {
    private struct State {
        var published: Int64 = 0
        var away: String?
        var progress: RelayProgress?
        var lastBeat: ContinuousClock.Instant?
        var unremoved = 0
        var removalError: String?
        /// The row that cannot be moved to the failed rows, with the error.
        var setAsideError: String?
        var lines = RareLines()

        var trouble: String? {
            let parts = [
                removalError.map { "\(unremoved) published rows cannot be removed: \($0)" },
                setAsideError.map { "a row cannot be set aside: \($0)" },
            ].compactMap(\.self)
            return parts.isEmpty ? nil : parts.joined(separator: "; ")
        }
    }

    /// The numbers of a shard that this process publishes.
    struct Numbers {
        var inFlight: Int
        /// The number of rows that are not read yet.
        var backlog: Int64
        var blockedKeys: Int
        var heldTopics: Int
        /// The time of the oldest event that is not acknowledged: of those in flight, and of the last one read while
        /// there is more to read.
        var oldest: Timestamp?
    }

    private let logger: Logger
    let shard: Int
    private let onProgress: @Sendable (RelayProgress) -> Void
    private let state = Mutex(State())

    private let published: Counter
    private let failed: Counter
    private let producerRestarts: Counter
    private let leader: Gauge
    private let pending: Gauge
    private let inFlight: Gauge
    private let blocked: Gauge
    private let heldTopics: Gauge
    private let lag: Gauge
    private let databaseUp: Gauge
    private let unremoved: Gauge
    private let headersLeftOut: Counter
    private let pageRows: Recorder
    private let latency: Metrics.Timer
    private let lastAcknowledgement: Gauge

    init(shard: Int, logger: Logger, onProgress: @escaping @Sendable (RelayProgress) -> Void) {
        self.shard = shard
        self.onProgress = onProgress
        var logger = logger
        logger[metadataKey: "shard"] = "\(shard)"
        self.logger = logger
        let labels = [("shard", String(shard))]
        published = Counter(label: "millrace_outbox_published_total", dimensions: labels)
        failed = Counter(label: "millrace_outbox_failed_total", dimensions: labels)
        producerRestarts = Counter(label: "millrace_outbox_producer_restarts_total", dimensions: labels)
        leader = Gauge(label: "millrace_outbox_leader", dimensions: labels)
        pending = Gauge(label: "cqrs_outbox_pending_events", dimensions: labels)
        inFlight = Gauge(label: "millrace_outbox_in_flight_rows", dimensions: labels)
        blocked = Gauge(label: "millrace_outbox_blocked_keys", dimensions: labels)
        heldTopics = Gauge(label: "millrace_outbox_held_topics", dimensions: labels)
        lag = Gauge(label: "millrace_outbox_lag_seconds", dimensions: labels)
        databaseUp = Gauge(label: "millrace_outbox_database_up", dimensions: labels)
        unremoved = Gauge(label: "millrace_outbox_unremoved_rows", dimensions: labels)
        headersLeftOut = Counter(label: "millrace_outbox_headers_left_out_total", dimensions: labels)
        pageRows = Recorder(label: "millrace_outbox_page_rows", dimensions: labels)
        latency = Metrics.Timer(label: "millrace_outbox_publish_seconds", dimensions: labels)
        lastAcknowledgement = Gauge(
            label: "millrace_outbox_last_acknowledgement_timestamp_seconds", dimensions: labels)
    }

    // MARK: numbers

    func read(rows: Int) {
        if rows > 0 { pageRows.record(rows) }
    }

    /// - Parameter oldest: the time of the oldest event of the batch.
    func delivered(_ count: Int, oldest: Timestamp?) {
        published.increment(by: Int64(count))
        let now = Timestamp.now
        lastAcknowledgement.record(now.microseconds / 1_000_000)
        state.withLock { $0.published += Int64(count) }
        if let oldest { latency.recordMicroseconds(max(0, now.microseconds - oldest.microseconds)) }
    }

    /// Reports numbers while this process publishes the shard.
    func progress(_ numbers: Numbers) {
        databaseUp.record(1)
        inFlight.record(numbers.inFlight)
        pending.record(numbers.backlog + Int64(numbers.inFlight))
        blocked.record(numbers.blockedKeys)
        heldTopics.record(numbers.heldTopics)
        lag.record(numbers.oldest.map { Double(max(0, Timestamp.now.microseconds - $0.microseconds)) / 1e6 } ?? 0)
        tell(.publishing, numbers)
    }

    /// Repeats the last progress at most once a second, while the loop runs but waits.
    func alive() {
        let progress: RelayProgress? = state.withLock { state in
            let now = ContinuousClock.now
            if let last = state.lastBeat, now - last < .seconds(1) { return nil }
            state.lastBeat = now
            return state.progress
        }
        if let progress { onProgress(progress) }
    }

    /// Reports that the loop runs and another process publishes the shard. That process reports the numbers.
    func standby() {
        if state.withLock({ $0.progress?.standing != .standingBy }) {
            leader.record(0)
            logger.info("in standby: another relay publishes this shard")
        }
        databaseUp.record(1)
        idle(unknown: 0)
        tell(.standingBy, Numbers(inFlight: 0, backlog: 0, blockedKeys: 0, heldTopics: 0))
    }

    /// Resets the numbers, because the state of the outbox is unknown and old numbers would look current.
    private func idle(unknown: Double) {
        inFlight.record(0)
        heldTopics.record(0)
        for gauge in [pending, blocked, lag] { gauge.record(unknown) }
    }

    private func tell(_ standing: RelayProgress.Standing, _ numbers: Numbers) {
        let progress = state.withLock { state in
            let progress = RelayProgress(
                shard: shard, standing: standing, inFlight: numbers.inFlight, backlog: numbers.backlog,
                blockedKeys: numbers.blockedKeys, heldTopics: numbers.heldTopics, unremovedRows: state.unremoved,
                trouble: state.trouble, published: state.published)
            state.progress = progress
            state.lastBeat = .now
            return progress
        }
        onProgress(progress)
    }

    func removed(_ count: Int) {
        logger.trace("removed published rows", metadata: ["rows": "\(count)"])
    }

    // MARK: changes of state

    /// Logs a note about the tables.
    func note(_ text: String) {
        logger.notice("outbox table", metadata: ["note": "\(text)"])
    }

    func leading() {
        back()
        leader.record(1)
        logger.info("publishing this shard")
    }

    /// Reports that the shard is given up for another process, which has less than its part.
    func handingOver() {
        logger.info("handing this shard over to another relay")
    }

    /// Whether published rows could not be removed.
    var hasUnremovedRows: Bool { state.withLock { $0.unremoved > 0 } }

    /// Reports that publishing has ended. Published rows that were not removed will be published again.
    func stopped() {
        leader.record(0)
        unremoved.record(0)
        state.withLock { state in
            state.unremoved = 0
            state.removalError = nil
            state.setAsideError = nil
        }
        logger.info("stopped publishing this shard")
    }

    /// Reports that the server refuses to remove published rows, or ignores the removal without an error.
    func cannotRemove(_ rows: Int, _ error: any Error) {
        unremoved.record(rows)
        let text = "\(error)"
        let isNews = state.withLock { state in
            defer {
                state.unremoved = rows
                state.removalError = text
            }
            return state.removalError != text || state.lines.isDue("removal", .now)
        }
        if isNews {
            logger.error(
                "published rows cannot be removed; a restart would publish them again",
                metadata: ["rows": "\(rows)", "error": "\(text)"])
        }
    }

    /// Reports that all published rows are removed.
    func canRemove() {
        let could = state.withLock { state in
            defer {
                state.unremoved = 0
                state.removalError = nil
            }
            return state.removalError == nil
        }
        if could { return }
        unremoved.record(0)
        logger.notice("published rows can be removed again")
    }

    /// Reports a row that can neither be published nor moved to the failed rows. It stays in the outbox, and its key
    /// waits.
    func cannotSetAside(_ id: Int64, _ failure: RowFailure, _ error: any Error) {
        let text = "row \(id), \(error)"
        let isNews = state.withLock { state in
            defer { state.setAsideError = text }
            return state.setAsideError != text || state.lines.isDue("set aside", .now)
        }
        if isNews {
            logger.error(
                "a row can neither be published nor be set aside; its key waits",
                metadata: ["row": "\(id)", "class": "\(failure.errorClass)", "error": "\(error)"])
        }
    }

    /// Reports that headers of a row were left out because a record cannot have them. The row is published.
    func leftOut(_ headers: Int, ofRow id: Int64, _ reason: String) {
        headersLeftOut.increment(by: Int64(headers))
        if state.withLock({ $0.lines.isDue("headers", .now) }) {
            logger.warning(
                "headers that are not allowed were left out; millrace_outbox_headers_left_out_total counts them",
                metadata: ["row": "\(id)", "reason": "\(reason)"])
        }
    }

    /// Reports that nothing can be published now. The relay tries again.
    func away(_ error: any Error) {
        leader.record(0)
        databaseUp.record(error is KafkaError ? 1 : 0)
        idle(unknown: .nan)
        let text = "\(error)"
        tell(.away(text), Numbers(inFlight: 0, backlog: 0, blockedKeys: 0, heldTopics: 0))
        let isNews = state.withLock { state in
            if state.away != text { state.lines.end("away") }
            state.away = text
            return state.lines.isDue("away", .now)
        }
        if isNews {
            logger.warning("cannot publish now; trying again", metadata: ["error": "\(text)"])
        }
    }

    func back() {
        let wasAway = state.withLock { state in
            defer {
                state.away = nil
                state.lines.end("away")
            }
            return state.away != nil
        }
        if wasAway { logger.notice("the database answers again") }
    }

    func setAside(_ id: Int64, _ failure: RowFailure) {
        failed.increment()
        state.withLock { $0.setAsideError = nil }
        logger.error(
            "a row cannot be published, so its key waits; run millrace outbox failed list",
            metadata: ["row": "\(id)", "class": "\(failure.errorClass)", "error": "\(failure.message)"])
    }

    func held(_ topic: String, _ error: KafkaError, for wait: Duration) {
        logger.warning(
            "a topic accepts no records, so its rows wait",
            metadata: ["topic": "\(topic)", "error": "\(error)", "again_after": "\(wait)"])
    }

    func replacing(_ error: KafkaError?, rows: Int) {
        producerRestarts.increment()
        logger.warning(
            "the producer failed; reading again from the lowest row without an acknowledgement",
            metadata: ["error": "\(error?.description ?? "unknown")", "rows": "\(rows)"])
    }

    func released() {
        logger.notice("a key is unblocked")
    }

    /// Reports an error of the whole cluster, such as an unavailable broker. Repeated errors are logged rarely.
    func kafka(_ error: KafkaError) {
        if state.withLock({ $0.lines.isDue("kafka \(error.name)", .now) }) {
            logger.warning("Kafka", metadata: ["error": "\(error)"])
        }
    }

    func undelivered(_ rows: Int) {
        logger.warning(
            "stopped before Kafka acknowledged all rows; they will be published again", metadata: ["rows": "\(rows)"])
    }
}
