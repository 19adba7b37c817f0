internal import Kafka
internal import Leadership
internal import StreamCore
internal import Synchronization

/// The state that the publisher, the producer's thread and the remover of a shard share: the ``FlightTable``, the
/// failures, and the signals by which they wake each other.
final class Flight: Sendable {
    /// The answer to a row that is about to be sent.
    enum Admission {
        case admitted(tag: UInt64)
        /// There is no room: wait.
        case full
        /// The producer failed or the lock is lost: send nothing.
        case interrupted
    }

    /// A row that Kafka refused.
    struct Failure {
        let id: Int64
        let error: KafkaError
    }

    /// The result of the first record of a topic or a partition.
    struct Proof {
        let probe: SendAdmission.Probe
        /// The id of the record's row.
        let id: Int64
        /// The record's partition.
        let partition: Int
        let error: KafkaError?
    }

    private struct State {
        var table: FlightTable
        var failures: [Failure] = []
        var failureCount = 0
        /// The lowest row that failed or whose success was not trusted.
        var lowestFailed: Int64?
        /// Partitions in which a record failed. Records that are acknowledged there later may have overtaken it.
        var broken: Set<Int32> = []
        var probes: [UInt64: SendAdmission.Probe] = [:]
        var proofs: [Proof] = []
        /// The spans of records in flight, by the tags of the records. Only records of recorded traces have one.
        var spans: [UInt64: PublishSpan] = [:]
        /// The spans of reported records, until they are ended outside of the lock.
        var landedSpans: [(span: PublishSpan, report: DeliveryReport)] = []
        var producer: Producer?
        var lost: (any Error)?
        var isFinished = false
        var lastContact = ContinuousClock.now
        var partitions = 1
        var hasPublished = false
        var hasRemoved = false

        mutating func note(_ failure: Failure) {
            failureCount += 1
            stay(failure.id)
            if failures.count < Flight.failureLimit { failures.append(failure) }
        }

        /// The row stays in the outbox and must be read again.
        mutating func stay(_ id: Int64) {
            lowestFailed = min(lowestFailed ?? id, id)
        }

        /// - Returns: the row, when it is delivered.
        mutating func land(_ report: DeliveryReport) -> FlightTable.Landed? {
            if !spans.isEmpty, let span = spans.removeValue(forKey: report.tag) { landedSpans.append((span, report)) }
            guard let error = report.error else {
                if broken.contains(report.partition) {
                    if let row = table.fail(report.tag) { stay(row.id) }
                    return nil
                }
                guard let row = table.acknowledge(report.tag) else { return nil }
                partitions = max(partitions, Int(report.partition) + 1)
                prove(report, row)
                return row
            }
            guard let row = table.fail(report.tag) else { return nil }
            // No record follows a first record before its acknowledgement, so none can overtake it.
            if prove(report, row) { return nil }
            broken.insert(report.partition)
            note(Failure(id: row.id, error: error))
            return nil
        }

        @discardableResult
        private mutating func prove(_ report: DeliveryReport, _ row: FlightTable.Landed) -> Bool {
            guard !probes.isEmpty, let probe = probes.removeValue(forKey: report.tag) else { return false }
            proofs.append(
                Flight.Proof(probe: probe, id: row.id, partition: Int(report.partition), error: report.error))
            return true
        }
    }

    /// Maximum number of failures kept in detail. A producer that fails fails all its records.
    private static let failureLimit = 20_000

    private let state: Mutex<State>
    /// Held while records are passed to the producer, and while they are taken back.
    private let handover = Mutex(())
    private let reports: RelayReports
    /// Wakes the publisher from a pause: a failure, a proof, a lost lock, or new work.
    let newsSignal: WakeSignal
    /// Wakes the publisher while it waits for acknowledgements: set for every batch of reports.
    let roomSignal: WakeSignal
    /// Wakes the remover: rows are acknowledged, or no more rows come.
    let removerSignal = WakeSignal()

    init(
        _ configuration: OutboxRelayConfiguration, newsSignal: WakeSignal, roomSignal: WakeSignal, reports: RelayReports
    ) {
        self.newsSignal = newsSignal
        self.roomSignal = roomSignal
        self.reports = reports
        let table = FlightTable(
            maximumRows: configuration.maxInFlightRows, maximumBytes: configuration.maxInFlightBytes)
        state = Mutex(State(table: table))
    }

    /// Sets other limits of what is in flight.
    func limit(_ limits: RelayLimits) {
        state.withLock { $0.table.limit(rows: limits.maxInFlightRows, bytes: limits.maxInFlightBytes) }
    }

    // MARK: publishing

    /// Passes records to the producer: admits rows and produces them. Meanwhile no other thread takes back the
    /// producer's records. A record is therefore either taken back together with the earlier ones, or never produced. A
    /// record that was produced after this moment would overtake them.
    func handingOver<Result>(_ body: () throws -> Result) rethrows -> Result {
        try handover.withLock { _ in try body() }
    }

    /// - Parameters:
    ///   - probe: set if this is the first record of a topic or a partition.
    ///   - span: ended when Kafka has reported the record.
    func admit(
        id: Int64, bytes: Int, occurredAt: Timestamp, probe: SendAdmission.Probe?, span: PublishSpan? = nil
    ) -> Admission {
        state.withLock { state in
            if state.failureCount > 0 || state.lost != nil { return .interrupted }
            guard state.table.hasRoom else { return .full }
            let tag = state.table.admit(id: id, bytes: bytes, occurredAt: occurredAt)
            if let probe { state.probes[tag] = probe }
            if let span { state.spans[tag] = span }
            return .admitted(tag: tag)
        }
    }

    /// Notes that the producer did not accept the record, so no report will follow.
    func recall(_ tag: UInt64) {
        state.withLock { state in
            state.table.fail(tag)
            state.probes[tag] = nil
            if !state.spans.isEmpty { state.spans[tag] = nil }
        }
    }

    /// The rows among `ids` that must not be sent again.
    func known(among ids: [Int64], ofPage request: UInt64) -> Set<Int64> {
        state.withLock { $0.table.known(among: ids, ofPage: request) }
    }

    func willRead(_ request: UInt64) {
        state.withLock { $0.table.willRead(request) }
    }

    /// Number of rows in flight.
    var rows: Int { state.withLock { $0.table.rows } }

    /// The time of the oldest event in flight; nil if there is none.
    var oldest: Timestamp? { state.withLock { $0.table.oldest } }

    /// The number of partitions of each topic, as far as it is known from records.
    var partitions: Int { state.withLock { $0.partitions } }

    /// Whether there is room for more than a few rows, or waiting for room makes no sense.
    var hasAmpleRoom: Bool {
        state.withLock { state in
            let table = state.table
            return state.failureCount > 0 || state.lost != nil
                || table.hasRoom && table.rows <= table.maximumRows / 4 * 3 && table.bytes <= table.maximumBytes / 4 * 3
        }
    }

    /// Whether a record failed, so that the producer has to be replaced.
    var hasFailed: Bool { state.withLock { $0.failureCount > 0 } }

    /// Whether no rows may be sent, because the producer must be replaced or the lock is lost.
    var isInterrupted: Bool { state.withLock { $0.failureCount > 0 || $0.lost != nil } }

    /// A failure that the producer's thread did not report.
    func fail(_ failure: Failure) {
        state.withLock { $0.note(failure) }
    }

    /// The results of first records since the last call.
    func takeProofs() -> [Proof] {
        state.withLock { state in
            if state.proofs.isEmpty { return [] }
            defer { state.proofs = [] }
            return state.proofs
        }
    }

    // MARK: the producer

    /// Makes this the producer for all further records. The previous one is closed.
    func use(_ producer: Producer) {
        state.withLock { $0.producer = producer }
    }

    /// Forgets the records of the last producer.
    ///
    /// - Returns: the rows that failed, and the lowest row that is to be sent again.
    func abandonProducer() -> (failures: [Failure], lowest: Int64?) {
        let (result, spans) = state.withLock { state in
            defer {
                state.spans = [:]
                state.failures = []
                state.failureCount = 0
                state.lowestFailed = nil
                state.broken = []
                state.probes = [:]
                state.proofs = []
            }
            state.producer = nil
            // A first record that failed is recorded only as a proof.
            for proof in state.proofs where proof.error != nil { state.stay(proof.id) }
            if let lowest = state.table.abandon() { state.stay(lowest) }
            return ((failures: state.failures, lowest: state.lowestFailed), state.spans)
        }
        for span in spans.values { span.failed("abandoned") }
        return result
    }

    /// Handles delivery reports, on the producer's thread.
    func report(_ deliveries: [DeliveryReport]) {
        let (acknowledged, oldest, hasNews, landed) = state.withLock { state in
            var acknowledged = 0
            var oldest: Timestamp?
            for report in deliveries {
                guard let row = state.land(report) else { continue }
                acknowledged += 1
                if oldest == nil { oldest = row.occurredAt }
            }
            if acknowledged > 0 { state.hasPublished = true }
            defer { if !state.landedSpans.isEmpty { state.landedSpans = [] } }
            return (acknowledged, oldest, state.failureCount > 0 || !state.proofs.isEmpty, state.landedSpans)
        }
        for (span, report) in landed {
            if let error = report.error {
                span.failed(error.name)
            } else {
                span.acknowledged(partition: report.partition, offset: report.offset)
            }
        }
        if acknowledged > 0 {
            reports.delivered(acknowledged, oldest: oldest)
            removerSignal.raise()
        }
        if hasNews { newsSignal.raise() }
        roomSignal.raise()
    }

    // MARK: removing

    func takeAcknowledged(limit: Int) -> [Int64] {
        state.withLock { $0.table.takeAcknowledged(limit: limit) }
    }

    /// - Parameter left: the rows of the removal that still exist, ascending.
    func finishRemoval(leaving left: [Int64] = []) {
        state.withLock { state in
            if state.table.finishRemoval(leaving: left) { state.hasRemoved = true }
            state.lastContact = .now
        }
        roomSignal.raise()
    }

    /// Makes the rows that could not be removed ready for another removal.
    func retryUnremoved() {
        state.withLock { $0.table.retryUnremoved() }
    }

    /// Whether Kafka has acknowledged any row.
    var hasPublished: Bool { state.withLock { $0.hasPublished } }

    /// Whether any row was removed.
    var hasRemoved: Bool { state.withLock { $0.hasRemoved } }

    /// Published rows that could not be removed.
    var unremovedRows: Int { state.withLock { $0.table.unremoved.count } }

    /// Notes that no more rows will be sent. The remover ends when it has removed the acknowledged rows.
    func finish() {
        state.withLock { $0.isFinished = true }
        removerSignal.raise()
    }

    var isFinished: Bool { state.withLock { $0.isFinished } }

    // MARK: the lock

    /// Notes that the session that holds the lock has answered.
    func noteContact() {
        state.withLock { $0.lastContact = .now }
    }

    var lastContact: ContinuousClock.Instant { state.withLock { $0.lastContact } }

    /// Notes that the lock is lost or its session does not answer. The producer's records are taken back, and no more
    /// are sent.
    func lose(_ error: any Error) {
        let producer = state.withLock { state in
            if state.lost == nil { state.lost = error }
            return state.producer
        }
        handover.withLock { _ in producer?.purge() }
        newsSignal.raise()
        roomSignal.raise()
    }

    /// - Throws: the reason why the lock was lost, if it was.
    func checkLock() throws {
        if let lost = state.withLock({ $0.lost }) { throw lost }
    }
}
