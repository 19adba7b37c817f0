internal import Kafka
internal import Leadership
internal import Postgres
internal import StreamCore

/// Hands the rows of pages to the producer: maps them to records, keeps those back that may not be sent yet, and waits
/// for room.
///
/// Each turn of its loops produces or leaves a row, or suspends, or ends: nothing spins while the producer has failed
/// or the lock is lost.
final class PageProducer {
    /// How producing a page ended.
    enum Outcome {
        /// Each of its rows is produced, or left in the outbox and remembered.
        case finished
        /// The producer failed, the lock is lost or the relay stops: the page has to be read again.
        case interrupted
    }

    /// Why a pass over a page's rows came to a halt.
    private enum Halt {
        case finished
        /// No room in flight.
        case full
        /// The producer's own queue is full: wait for any delivery.
        case producerFull
        /// The next row has to go alone.
        case suspect(Int64)
        case unpublishable(Int64, Lane, RowFailure)
        case interrupted
    }

    /// What became of one row.
    private enum Step {
        case passed
        case deferred
        case halt(Halt)
    }

    private let configuration: OutboxRelayConfiguration
    private let layout: RowLayout
    private let writer: OutboxWriter
    private let flight: Flight
    private let stop: StopSignal
    private let reports: RelayReports

    /// Where records go.
    private var producer: Producer
    private(set) var gates = SendGates()
    /// The id that the scan of the backlog has come to, while it is under way.
    private var backlog: Int64?
    private var topics: TopicNames
    private var envelope = EnvelopeWriter()
    private var headers = RelayHeaders()
    /// Rows of a batch that was refused for a record in it: each goes alone until the guilty one is found.
    private var suspects: Set<Int64> = []
    /// The suspect that was sent alone last, and is not acknowledged.
    private var alone: (id: Int64, lane: Lane)?
    /// First records that were acknowledged. They open their gates between two passes: rows that were passed over in
    /// the pass under way come before those that are still to come.
    private var proven: [Flight.Proof] = []
    private var hasProven = false
    private var onWait: () async throws -> Void = {}
    /// Rows of the page at hand that are not sent yet.
    private(set) var unproduced: Int64 = 0
    /// Rows that were left in the outbox because their key or their topic is held, about: counted anew by each sweep.
    private(set) var left: Int64 = 0
    private var leftInSweep: Int64 = 0

    /// How long after a first record was sent its followers wait for it; later ones are left behind.
    private static let patience = Duration.milliseconds(500)

    init(
        _ configuration: OutboxRelayConfiguration, layout: RowLayout, writer: OutboxWriter, flight: Flight,
        producer: Producer,
        stop: StopSignal, reports: RelayReports
    ) {
        self.configuration = configuration
        self.layout = layout
        self.writer = writer
        self.flight = flight
        self.producer = producer
        self.stop = stop
        self.reports = reports
        topics = TopicNames(rule: layout.topics)
    }

    /// Produces a page's rows.
    ///
    /// - Parameters:
    ///   - partitions: how many the topics have, about.
    ///   - backlog: the id that the scan of the backlog has come to; nil when there is none.
    /// - Throws: how the lock was lost, or what the database refused.
    ///   - onWait: called in every wait.
    func produce(
        _ page: Page, backlog: Int64?, _ onWait: @escaping () async throws -> Void = {}
    ) async throws -> Outcome {
        if page.ids.isEmpty { return .finished }
        self.onWait = onWait
        defer { unproduced = 0 }
        self.backlog = backlog
        gates.begin(page: page.request.number, now: .now)
        // Only rows that the cursor has passed before can be on their way already.
        let known = flight.known(among: page.ids.filter { $0 <= page.request.seen }, ofPage: page.request.number)
        let order = ProduceOrder.places(of: page, partitions: flight.partitions)
        var queue = ProduceQueue(order: order, count: page.ids.count)
        while !stop.isSet && !flight.isInterrupted {
            let halt = produceRows(of: page, &queue, skipping: known)
            unproduced = Int64(queue.remaining)
            switch halt {
            case .interrupted: return .interrupted
            case .full: try await wait { flight.hasAmpleRoom }
            case .producerFull: await flight.roomSignal.wait(atMost: .milliseconds(50))
            case .suspect(let id): try await produceAlone(id, &queue, of: page)
            case .unpublishable(let id, let lane, let failure): try await setAside(id, lane, failure)
            case .finished:
                if !queue.hasWaiting { return .finished }
                try await waitForProofs()
                queue.goThroughWaiting()
            }
        }
        try flight.checkLock()
        return .interrupted
    }

    /// Goes on with a pass until its end, or until something has to be waited for.
    private func produceRows(
        of page: Page, _ queue: inout ProduceQueue, skipping known: Set<Int64>
    ) -> Halt {
        let start = ContinuousClock.now
        return flight.handingOver {
            while let row = queue.next {
                if !known.isEmpty && known.contains(page.ids[row]) {
                    queue.advance()
                    continue
                }
                switch produceRow(of: page, at: row, now: start) {
                case .passed: queue.advance()
                case .deferred: queue.deferNext()
                case .halt(.unpublishable(let id, let lane, let failure)):
                    queue.advance()
                    return .unpublishable(id, lane, failure)
                case .halt(let halt): return halt
                }
            }
            return .finished
        }
    }

    private func produceRow(
        of page: Page, at index: Int, now: ContinuousClock.Instant, isAlone: Bool = false
    ) -> Step {
        let id = page.ids[index]
        do throws(any Error) {
            let row = try page.result.outboxRow(index, as: layout.value)
            let key: Span<UInt8>
            if let ownKey = row.key { key = ownKey } else { key = row.aggregateID }
            let topic = topics.topic(aggregateType: row.aggregateType, explicit: row.topic)
            let way = gates.way(
                topic: topic.name, key: key, hash: page.keyHashes[index], scan: page.request.scan,
                partitions: { producer.partitions(of: $0) })
            var probe: SendGates.Probe?
            switch way {
            case .open: break
            case .first(let first): probe = first
            case .wait(_, let since) where now - since < Self.patience: return .deferred
            case .wait(let stop, _), .leave(let stop):
                let isAhead = backlog.map { id > $0 } ?? false
                gates.leave(id, at: stop, topic: topic.name, key: key, isAhead: isAhead)
                if page.request.scan == .forward { left += 1 }
                if page.request.scan == .sweep { leftInSweep += 1 }
                return .passed
            }
            if !isAlone && !suspects.isEmpty && suspects.contains(id) { return .halt(.suspect(id)) }
            guard topic.isLegal else {
                throw RowFailure("invalid_topic", "no topic can have the name that the row asks for")
            }
            return try send(row, to: topic.name, key: key, probe: probe)
        } catch {
            return .halt(.unpublishable(id, page.lane(at: index, topics: &topics), RowFailure(of: error)))
        }
    }

    /// - Throws: ``RowFailure`` or ``KafkaError`` when the row itself is at fault.
    private func send(
        _ row: borrowing OutboxRow, to topic: String, key: Span<UInt8>, probe: SendGates.Probe?
    ) throws -> Step {
        let headers = try headers.make(row, as: layout.value)
        if let reason = self.headers.leftOutReason { reports.leftOut(self.headers.leftOut, ofRow: row.id, reason) }
        if layout.value == .envelope {
            guard EnvelopeWriter.canTell(row.occurredAt) else {
                throw RowFailure("invalid_timestamp", "occurred_at is not within the years 0000 to 9999")
            }
            envelope.write(row)
        }
        let timestampMs = layout.timesRecords ? row.occurredAt.microseconds / 1_000 : 0
        let size = key.count + (layout.value == .envelope ? envelope.count : row.payload?.count ?? 0)
        let tag: UInt64
        switch flight.admit(id: row.id, bytes: size, occurredAt: row.occurredAt, probe: probe) {
        case .admitted(let admitted): tag = admitted
        case .full: return .halt(.full)
        case .interrupted: return .halt(.interrupted)
        }
        do throws(KafkaError) {
            switch layout.value {
            case .envelope:
                try producer.produce(
                    topic: topic, key: key, value: envelope.bytes, headers: headers, timestampMs: timestampMs, tag: tag)
            case .payload:
                try producer.produce(
                    topic: topic, key: key, value: row.payload, headers: headers, timestampMs: timestampMs, tag: tag)
            }
        } catch {
            flight.recall(tag)
            if error.isQueueFull { return .halt(.producerFull) }
            switch DeliveryFailure(error) {
            case .record: throw error
            case .topic:
                hold(topic, row: row.id, error)
                return .passed
            case .producer:
                flight.fail(Flight.Failure(id: row.id, error: error))
                return .halt(.interrupted)
            }
        }
        if let probe { gates.prove(probe) }
        return .passed
    }

    // MARK: - wait

    /// Suspends until the condition holds; not at all when it does, or when nothing may be sent any more.
    private func wait(until condition: () -> Bool) async throws {
        while !stop.isSet && !flight.isInterrupted && !condition() {
            // The broker may be away for hours, which is not for this loop to be blamed for.
            try await onWait()
            await flight.roomSignal.wait(atMost: .seconds(1))
        }
        try flight.checkLock()
    }

    /// Gives first records a moment to be acknowledged.
    private func waitForProofs() async throws {
        let deadline = ContinuousClock.now + Self.patience
        takeProofs()
        while proven.isEmpty && gates.isProving && !stop.isSet && !flight.isInterrupted {
            if ContinuousClock.now >= deadline { break }
            try await onWait()
            await flight.roomSignal.wait(atMost: .milliseconds(50))
            takeProofs()
        }
        try flight.checkLock()
        openGates()
    }

    /// Sends the next row with nothing else in flight, so that what happens to it is its own doing.
    private func produceAlone(_ id: Int64, _ queue: inout ProduceQueue, of page: Page) async throws {
        try await wait { flight.rows == 0 }
        guard let row = queue.next, !stop.isSet, !flight.isInterrupted else { return }
        let lane = page.lane(at: row, topics: &topics)
        switch flight.handingOver({ produceRow(of: page, at: row, now: .now, isAlone: true) }) {
        case .passed: queue.advance()
        case .deferred: return queue.deferNext()
        case .halt(.unpublishable(let id, let lane, let failure)):
            queue.advance()
            return try await setAside(id, lane, failure)
        case .halt(.full): return try await wait { flight.hasAmpleRoom }
        case .halt: return await flight.roomSignal.wait(atMost: .milliseconds(50))
        }
        alone = (id, lane)
        try await wait { flight.rows == 0 }
        takeProofs()
        if flight.rows > 0 || flight.isInterrupted { return }
        alone = nil
        suspects.remove(id)
    }

    // MARK: - what happened meanwhile

    /// Between two pages: opens what first records have proven.
    ///
    /// - Returns: whether any was acknowledged since the last call.
    func settle() -> Bool {
        takeProofs()
        openGates()
        gates.release(now: .now)
        defer { hasProven = false }
        return hasProven
    }

    private func takeProofs() {
        for proof in flight.takeProofs() {
            guard let error = proof.error else {
                proven.append(proof)
                continue
            }
            if DeliveryFailure(error) == .topic {
                // What should have followed comes again when the topic is tried again.
                hold(proof.probe.topic, row: proof.id, error)
            } else {
                flight.fail(Flight.Failure(id: proof.id, error: error))
            }
        }
    }

    private func openGates() {
        for proof in proven {
            let partitions = producer.partitions(of: proof.probe.topic)
            gates.open(proof.probe, partition: proof.partition, of: partitions)
        }
        if !proven.isEmpty { hasProven = true }
        proven = []
    }

    private func hold(_ topic: String, row id: Int64, _ error: KafkaError) {
        let wait = gates.hold(topic, row: id, now: .now)
        reports.held(topic, error, for: wait)
    }

    /// From now on records go to another producer: nothing is proven, and some rows go alone.
    ///
    /// - Parameter failures: of the one before.
    func replace(_ producer: Producer, after failures: [Flight.Failure]) async throws {
        self.producer = producer
        proven = []
        gates.forgetProofs()
        let refused = failures.filter { DeliveryFailure($0.error) == .record }
        if let alone, let failure = refused.first(where: { $0.id == alone.id }) {
            try await setAside(alone.id, alone.lane, RowFailure(failure.error))
        } else {
            for failure in refused { suspects.insert(failure.id) }
        }
        alone = nil
    }

    /// Moves a row to the failed ones; its key waits from now on.
    private func setAside(_ id: Int64, _ lane: Lane, _ failure: RowFailure) async throws {
        gates.block(lane, id: id)
        suspects.remove(id)
        do {
            try await writer.setAside(id, lane, failure)
            reports.setAside(id, failure)
        } catch let error as PostgresError where error.endsConnection || error.code == .cancelled {
            throw error
        } catch {
            // The row stays, its key waits as well, and it is tried again after a while.
            let wait = Duration.milliseconds(configuration.unblockIntervalMs) * 15
            gates.block(lane, id: id, until: .now + wait)
            reports.cannotSetAside(id, failure, error)
        }
    }

    /// - Returns: whether a lane is free that was not.
    func replaceBlocked(with lanes: [Lane: Int64]) -> Bool { gates.replaceBlocked(with: lanes, now: .now) }

    /// Where the scan of the backlog has to begin, or to go back to; nil when it need not.
    func serveBacklog() -> Int64? { gates.serve() }

    func caughtUp() {
        gates.caughtUp()
        left = 0
    }

    func finishSweep() {
        left = leftInSweep
        leftInSweep = 0
    }

    func restartBacklog() { gates.restartBacklog() }
}
