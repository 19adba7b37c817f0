internal import Kafka
internal import Leadership
internal import StreamCore
internal import Synchronization

/// What the publisher, the producer's thread and the remover of a shard share: the ``FlightTable``, what failed, and
/// the signals by which they wake each other.
final class Flight: Sendable {
    /// The answer to a row that wants to be sent.
    enum Admission {
        case admitted(tag: UInt64)
        /// No room: wait.
        case full
        /// The producer failed, or the lock is lost: nothing may be sent.
        case interrupted
    }

    /// A row that Kafka did not take.
    struct Failure {
        let id: Int64
        let error: KafkaError
    }

    /// What became of the first record to a topic or a partition.
    struct Proof {
        let probe: SendGates.Probe
        /// The record's row.
        let id: Int64
        /// Where it went.
        let partition: Int
        let error: KafkaError?
    }

    private struct State {
        var table: FlightTable
        var failures: [Failure] = []
        var failureCount = 0
        /// The lowest row that failed or was not trusted.
        var lowestFailed: Int64?
        /// Partitions of which a record failed: whatever is acknowledged there afterwards may have come before it.
        var broken: Set<Int32> = []
        var probes: [UInt64: SendGates.Probe] = [:]
        var proofs: [Proof] = []
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

        /// The row stays in the outbox and has to be read again.
        mutating func stay(_ id: Int64) {
            lowestFailed = min(lowestFailed ?? id, id)
        }

        /// - Returns: the row, when it is delivered.
        mutating func land(_ report: DeliveryReport) -> FlightTable.Landed? {
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
            // Behind a first record nothing is in flight.
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

    /// Failures kept in detail, at most; a producer that fails fails everything it holds.
    private static let failureLimit = 20_000

    private let state: Mutex<State>
    /// Held while records are handed to the producer, and while they are taken back.
    private let handover = Mutex(())
    private let reports: RelayReports
    /// For the publisher while it pauses: a failure, a proof, the lock lost, and what others wake it for.
    let newsSignal: WakeSignal
    /// For the publisher while it waits for rows to land: raised for every batch of reports.
    let roomSignal: WakeSignal
    /// For the remover: rows acknowledged, or no more to come.
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

    // MARK: publishing

    /// Hands records to the producer: admits rows and produces them. Meanwhile nobody takes back what the producer
    /// holds, so that a record is either taken back with those before it or never produced. Were one to come behind, it
    /// would overtake them.
    func handingOver<Result>(_ body: () throws -> Result) rethrows -> Result {
        try handover.withLock { _ in try body() }
    }

    /// - Parameter probe: set when this is the first record to a topic or a partition.
    func admit(id: Int64, bytes: Int, occurredAt: Timestamp, probe: SendGates.Probe?) -> Admission {
        state.withLock { state in
            if state.failureCount > 0 || state.lost != nil { return .interrupted }
            guard state.table.hasRoom else { return .full }
            let tag = state.table.admit(id: id, bytes: bytes, occurredAt: occurredAt)
            if let probe { state.probes[tag] = probe }
            return .admitted(tag: tag)
        }
    }

    /// The producer did not take the record: there will be no report.
    func recall(_ tag: UInt64) {
        state.withLock { state in
            state.table.fail(tag)
            state.probes[tag] = nil
        }
    }

    /// The rows among `ids` that must not be sent again.
    func known(among ids: [Int64], ofPage request: UInt64) -> Set<Int64> {
        state.withLock { $0.table.known(among: ids, ofPage: request) }
    }

    func willRead(_ request: UInt64) {
        state.withLock { $0.table.willRead(request) }
    }

    /// Rows in flight.
    var rows: Int { state.withLock { $0.table.rows } }

    /// When the oldest event in flight happened; nil when none is.
    var oldest: Timestamp? { state.withLock { $0.table.oldest } }

    /// How many partitions the topics have, as far as records have shown.
    var partitions: Int { state.withLock { $0.partitions } }

    /// Whether there is room for more than a row or two, or no sense in waiting for it.
    var hasAmpleRoom: Bool {
        state.withLock { state in
            let table = state.table
            return state.failureCount > 0 || state.lost != nil
                || table.hasRoom && table.rows <= table.maximumRows / 4 * 3 && table.bytes <= table.maximumBytes / 4 * 3
        }
    }

    /// Whether a record failed, so that the producer has to be replaced.
    var hasFailed: Bool { state.withLock { $0.failureCount > 0 } }

    /// Whether nothing may be sent: the producer has to be replaced, or the lock is lost.
    var isInterrupted: Bool { state.withLock { $0.failureCount > 0 || $0.lost != nil } }

    /// A failure that the producer's thread did not report.
    func fail(_ failure: Failure) {
        state.withLock { $0.note(failure) }
    }

    /// What became of the first records, since the last call.
    func takeProofs() -> [Proof] {
        state.withLock { state in
            if state.proofs.isEmpty { return [] }
            defer { state.proofs = [] }
            return state.proofs
        }
    }

    // MARK: the producer

    /// From now on records go to this producer; the one before is closed.
    func use(_ producer: Producer) {
        state.withLock { $0.producer = producer }
    }

    /// Nothing that the last producer had is in flight any more.
    ///
    /// - Returns: the rows that failed, and the lowest row that is to be sent again.
    func abandonProducer() -> (failures: [Failure], lowest: Int64?) {
        state.withLock { state in
            defer {
                state.failures = []
                state.failureCount = 0
                state.lowestFailed = nil
                state.broken = []
                state.probes = [:]
                state.proofs = []
            }
            state.producer = nil
            // A first record that failed has no other trace.
            for proof in state.proofs where proof.error != nil { state.stay(proof.id) }
            if let lowest = state.table.abandon() { state.stay(lowest) }
            return (state.failures, state.lowestFailed)
        }
    }

    /// The delivery reports, on the producer's thread.
    func report(_ deliveries: [DeliveryReport]) {
        let (acknowledged, oldest, hasNews) = state.withLock { state in
            var acknowledged = 0
            var oldest: Timestamp?
            for report in deliveries {
                guard let row = state.land(report) else { continue }
                acknowledged += 1
                if oldest == nil { oldest = row.occurredAt }
            }
            if acknowledged > 0 { state.hasPublished = true }
            return (acknowledged, oldest, state.failureCount > 0 || !state.proofs.isEmpty)
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

    /// - Parameter left: rows of the removal that are still there, ascending.
    func finishRemoval(leaving left: [Int64] = []) {
        state.withLock { state in
            if state.table.finishRemoval(leaving: left) { state.hasRemoved = true }
            state.lastContact = .now
        }
        roomSignal.raise()
    }

    /// The rows that could not be removed are taken for removal again.
    func retryUnremoved() {
        state.withLock { $0.table.retryUnremoved() }
    }

    /// Whether Kafka has acknowledged any row.
    var hasPublished: Bool { state.withLock { $0.hasPublished } }

    /// Whether any row was removed.
    var hasRemoved: Bool { state.withLock { $0.hasRemoved } }

    /// Published rows that could not be removed.
    var unremovedRows: Int { state.withLock { $0.table.unremoved.count } }

    /// No more rows will be sent: the remover ends when it has removed what is acknowledged.
    func finish() {
        state.withLock { $0.isFinished = true }
        removerSignal.raise()
    }

    var isFinished: Bool { state.withLock { $0.isFinished } }

    // MARK: the lock

    /// The session that holds the lock has answered.
    func noteContact() {
        state.withLock { $0.lastContact = .now }
    }

    var lastContact: ContinuousClock.Instant { state.withLock { $0.lastContact } }

    /// The lock is lost, or its session cannot be asked: what the producer holds is taken back, and no more is sent.
    func lose(_ error: any Error) {
        let producer = state.withLock { state in
            if state.lost == nil { state.lost = error }
            return state.producer
        }
        handover.withLock { _ in producer?.purge() }
        newsSignal.raise()
        roomSignal.raise()
    }

    /// - Throws: why the lock was lost, when it was.
    func checkLock() throws {
        if let lost = state.withLock({ $0.lost }) { throw lost }
    }
}
