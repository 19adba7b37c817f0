internal import Glibc
internal import Kafka
internal import Logging
internal import Metrics
internal import StreamCore
internal import Synchronization

/// Where a shard of the relay stands, for health checks and status lines.
public struct RelayProgress: Sendable, Hashable {
    /// The shard, from 0.
    public let shard: Int
    /// Whether this process publishes it; otherwise it stands by.
    public let isActive: Bool
    /// Rows read and not yet removed.
    public let inFlight: Int
    /// Rows that are not read yet, by the sequence's last value: an estimate from above.
    public let backlog: Int64
    /// Keys that wait for an operator.
    public let blockedKeys: Int
    /// Events acknowledged by Kafka since the process started.
    public let published: Int64
}

/// What a shard tells the outside: log lines, metrics and progress, once a batch or change of state.
final class RelayReports: Sendable {
    private struct State {
        var published: Int64 = 0
        var away: String?
        var lastAwayLine: ContinuousClock.Instant?
        /// When an error of the cluster was said last, by its name.
        var kafkaLines: [String: ContinuousClock.Instant] = [:]
        var progress: RelayProgress?
        var lastBeat: ContinuousClock.Instant?
    }

    private let logger: Logger
    private let shard: Int
    private let onProgress: @Sendable (RelayProgress) -> Void
    private let state = Mutex(State())

    private let published: Counter
    private let failed: Counter
    private let producerRestarts: Counter
    private let leader: Gauge
    private let backlog: Gauge
    private let inFlight: Gauge
    private let blocked: Gauge
    private let heldTopics: Gauge
    private let lag: Gauge
    private let pageRows: Recorder
    private let latency: Metrics.Timer

    /// An outage is said once, and then so often.
    private static let awayInterval = Duration.seconds(60)

    init(shard: Int, logger: Logger, onProgress: @escaping @Sendable (RelayProgress) -> Void) {
        self.shard = shard
        self.onProgress = onProgress
        var logger = logger
        logger[metadataKey: "shard"] = "\(shard)"
        self.logger = logger
        let labels = [("shard", String(shard))]
        published = Counter(label: "outbox_published_total", dimensions: labels)
        failed = Counter(label: "outbox_failed_total", dimensions: labels)
        producerRestarts = Counter(label: "outbox_producer_restarts_total", dimensions: labels)
        leader = Gauge(label: "outbox_leader", dimensions: labels)
        backlog = Gauge(label: "outbox_backlog_rows", dimensions: labels)
        inFlight = Gauge(label: "outbox_in_flight_rows", dimensions: labels)
        blocked = Gauge(label: "outbox_blocked_keys", dimensions: labels)
        heldTopics = Gauge(label: "outbox_held_topics", dimensions: labels)
        lag = Gauge(label: "outbox_lag_seconds", dimensions: labels)
        pageRows = Recorder(label: "outbox_page_rows", dimensions: labels)
        latency = Metrics.Timer(label: "outbox_publish_seconds", dimensions: labels)
    }

    // MARK: numbers

    func read(rows: Int) {
        if rows > 0 { pageRows.record(rows) }
    }

    /// - Parameter oldest: when the batch's first event happened.
    func delivered(_ count: Int, oldest: Timestamp?) {
        published.increment(by: Int64(count))
        state.withLock { $0.published += Int64(count) }
        if let oldest { latency.recordMicroseconds(max(0, Timestamp.now.microseconds - oldest.microseconds)) }
    }

    /// - Parameters:
    ///   - backlog: rows not read yet.
    ///   - lagging: when the last event read happened, while there are more to read.
    func progress(
        isActive: Bool, inFlight: Int, backlog: Int64, blockedKeys: Int, heldTopics: Int, lagging: Timestamp?
    ) {
        self.inFlight.record(inFlight)
        self.backlog.record(backlog)
        blocked.record(blockedKeys)
        self.heldTopics.record(heldTopics)
        lag.record(lagging.map { Double(max(0, Timestamp.now.microseconds - $0.microseconds)) / 1e6 } ?? 0)
        let progress = state.withLock { state in
            let progress = RelayProgress(
                shard: shard, isActive: isActive, inFlight: inFlight, backlog: backlog, blockedKeys: blockedKeys,
                published: state.published)
            state.progress = progress
            state.lastBeat = .now
            return progress
        }
        onProgress(progress)
    }

    /// The loop moves, though it only waits: says again what it said last, once a second.
    func alive() {
        let progress: RelayProgress? = state.withLock { state in
            let now = ContinuousClock.now
            if let last = state.lastBeat, now - last < .seconds(1) { return nil }
            state.lastBeat = now
            return state.progress
        }
        if let progress { onProgress(progress) }
    }

    /// The loop moves, but another process publishes or the database is away.
    func standby() {
        progress(isActive: false, inFlight: 0, backlog: 0, blockedKeys: 0, heldTopics: 0, lagging: nil)
    }

    func removed(_ count: Int) {
        logger.trace("removed published rows", metadata: ["rows": "\(count)"])
    }

    // MARK: changes of state

    func standingBy() {
        leader.record(0)
        logger.info("standing by: another relay publishes this shard")
    }

    func leading() {
        leader.record(1)
        logger.info("publishing this shard")
    }

    func stopped() {
        leader.record(0)
        logger.info("stopped publishing this shard")
    }

    /// - Parameter again: after how long it is tried again.
    func away(_ error: any Error) {
        leader.record(0)
        let text = "\(error)"
        let isNews = state.withLock { state in
            let now = ContinuousClock.now
            let isOver = state.lastAwayLine.map { now - $0 >= Self.awayInterval } ?? true
            guard isOver || state.away != text else { return false }
            state.away = text
            state.lastAwayLine = now
            return true
        }
        if isNews {
            logger.warning("cannot publish now, trying again until it works", metadata: ["error": "\(text)"])
        }
    }

    func back() {
        let wasAway = state.withLock { state in
            defer {
                state.away = nil
                state.lastAwayLine = nil
            }
            return state.away != nil
        }
        if wasAway { logger.notice("the database answers again") }
    }

    func setAside(_ id: Int64, _ failure: RowFailure) {
        failed.increment()
        logger.error(
            "a row cannot be published and its key waits; see the failed rows",
            metadata: ["row": "\(id)", "class": "\(failure.errorClass)", "error": "\(failure.message)"])
    }

    func held(_ topic: String, _ error: KafkaError, for wait: Duration) {
        logger.warning(
            "a topic takes no records, its rows wait",
            metadata: ["topic": "\(topic)", "error": "\(error)", "again_after": "\(wait)"])
    }

    func replacing(_ error: KafkaError?, rows: Int) {
        producerRestarts.increment()
        logger.warning(
            "the producer failed, going back to the lowest row that is not acknowledged",
            metadata: ["error": "\(error?.description ?? "unknown")", "rows": "\(rows)"])
    }

    func released() {
        logger.notice("a blocked key is free again")
    }

    /// An error of the cluster as a whole: a broker that is away, and the like. Said once, and then rarely.
    func kafka(_ error: KafkaError) {
        let isNews = state.withLock { state in
            let now = ContinuousClock.now
            if let last = state.kafkaLines[error.name], now - last < Self.awayInterval { return false }
            state.kafkaLines[error.name] = now
            return true
        }
        if isNews { logger.warning("Kafka", metadata: ["error": "\(error)"]) }
    }

    func undelivered(_ rows: Int) {
        logger.warning(
            "stopped before all was acknowledged; the rows will be published again", metadata: ["rows": "\(rows)"])
    }
}

extension Timestamp {
    /// The system's clock.
    static var now: Timestamp {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000)
    }
}
