internal import Kafka
internal import Leadership
internal import Postgres
internal import StreamCore

/// Passes the rows of pages to the producer: converts them to records, holds back rows that may not be sent yet, and
/// waits for room.
///
/// Each iteration of its loops produces a row, leaves a row in the outbox, suspends, or ends. No loop spins while the
/// producer has failed or the lock is lost.
final class PageProducer {
    /// The result of producing a page.
    enum Outcome {
        /// Each row was produced, or left in the outbox and remembered.
        case finished
        /// The producer failed, the lock is lost or the relay stops, so the page must be read again.
        case interrupted
    }

    /// The reason why a pass over a page's rows stopped.
    private enum Halt {
        case finished
        /// There is no room in flight.
        case full
        /// The producer's own queue is full, so wait for any delivery.
        case producerFull
        /// The next row must be sent alone.
        case suspect(Int64)
        case unpublishable(Int64, TopicKey, RowFailure)
        case interrupted
    }

    /// The result for one row.
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

    /// The topics and partitions of records.
    private var producer: Producer
    private(set) var admission = SendAdmission()
    /// The position of the backlog scan while it runs.
    private var backlog: Int64?
    private var topics: TopicNames
    private var envelope = EnvelopeWriter()
    private var headers = RelayHeaders()
    /// Rows of a batch that was refused because of one record. Each is sent alone until that record is found.
    private var suspects: Set<Int64> = []
    /// The row that was sent alone last and is not acknowledged yet.
    private var alone: (id: Int64, topicKey: TopicKey)?
    /// Acknowledged first records. They take effect only between two passes. Otherwise a later row of the current pass
    /// could be sent before a row that the pass has already left in the outbox.
    private var proven: [Flight.Proof] = []
    private var hasProven = false
    private var onWait: () async throws -> Void = {}
    /// The rows of the current page that are not sent yet.
    private(set) var unproduced: Int64 = 0
    /// Approximate number of rows that were left in the outbox because their key or topic is held. Each sweep counts
    /// them again.
    private(set) var left: Int64 = 0
    private var leftInSweep: Int64 = 0

    /// Time that rows wait for the acknowledgement of a first record. Later rows are left in the outbox.
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
    ///   - page: the rows.
    ///   - backlog: the position of the backlog scan; nil if it does not run.
    ///   - onWait: called in every wait.
    /// - Throws: the reason why the lock was lost, or the error of the database.
    func produce(
        _ page: Page, backlog: Int64?, _ onWait: @escaping () async throws -> Void = {}
    ) async throws -> Outcome {
        if page.ids.isEmpty { return .finished }
        self.onWait = onWait
        defer { unproduced = 0 }
        self.backlog = backlog
        admission.begin(page: page.request.number, now: .now)
        // Only rows that the cursor has passed before can already be in flight.
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
            case .unpublishable(let id, let topicKey, let failure): try await setAside(id, topicKey, failure)
            case .finished:
                if !queue.hasWaiting { return .finished }
                try await waitForProofs()
                queue.goThroughWaiting()
            }
        }
        try flight.checkLock()
        return .interrupted
    }

    /// Continues a pass until its end, or until it must wait.
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
                case .halt(.unpublishable(let id, let topicKey, let failure)):
                    queue.advance()
                    return .unpublishable(id, topicKey, failure)
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
            let way = admission.way(
                topic: topic.name, key: key, hash: page.keyHashes[index], scan: page.request.scan,
                partitions: { producer.partitions(of: $0) })
            var probe: SendAdmission.Probe?
            switch way {
            case .open: break
            case .first(let first): probe = first
            case .wait(_, let since) where now - since < Self.patience: return .deferred
            case .wait(let stop, _), .leave(let stop):
                let isAhead = backlog.map { id > $0 } ?? false
                admission.leave(id, at: stop, topic: topic.name, key: key, isAhead: isAhead)
                if page.request.scan == .forward { left += 1 }
                if page.request.scan == .sweep { leftInSweep += 1 }
                return .passed
            }
            if !isAlone && !suspects.isEmpty && suspects.contains(id) { return .halt(.suspect(id)) }
            guard topic.isLegal else {
                throw RowFailure("invalid_topic", "the row's topic name is not allowed in Kafka")
            }
            return try send(row, to: topic.name, key: key, probe: probe)
        } catch {
            return .halt(.unpublishable(id, page.topicKey(at: index, topics: &topics), RowFailure(of: error)))
        }
    }

    /// - Throws: ``RowFailure`` or ``KafkaError`` if the row itself is invalid.
    private func send(
        _ row: borrowing OutboxRow, to topic: String, key: Span<UInt8>, probe: SendAdmission.Probe?
    ) throws -> Step {
        let headers = try headers.make(row, as: layout.value)
        if let reason = self.headers.leftOutReason { reports.leftOut(self.headers.leftOut, ofRow: row.id, reason) }
        if layout.value == .envelope {
            guard EnvelopeWriter.canTell(row.occurredAt) else {
                throw RowFailure("invalid_timestamp", "occurred_at is outside the years 0000 to 9999")
            }
            envelope.write(row)
        }
        let timestampMs = layout.timesRecords ? row.occurredAt.microseconds / 1_000 : 0
        let size = key.count + (layout.value == .envelope ? envelope.count : row.payload?.count ?? 0)
        let tag: UInt64
        let span = self.headers.span
        span?.describe(
            topic: topic, eventID: row.sourceID == nil ? row.eventID.description : nil, bytes: size - key.count,
            shard: reports.shard)
        // The span ends with the delivery report. If the record is not accepted, no report comes and the span is
        // dropped. The row then gets another span with its next attempt.
        switch flight.admit(id: row.id, bytes: size, occurredAt: row.occurredAt, probe: probe, span: span) {
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
            span?.failed(error.name)
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
        if let probe { admission.prove(probe) }
        return .passed
    }

    // MARK: - wait

    /// Suspends until the condition holds. It returns at once if the condition holds or no rows may be sent.
    private func wait(until condition: () -> Bool) async throws {
        while !stop.isSet && !flight.isInterrupted && !condition() {
            // The broker may be unavailable for hours. This loop must still count as running.
            try await onWait()
            await flight.roomSignal.wait(atMost: .seconds(1))
        }
        try flight.checkLock()
    }

    /// Waits a short time for the acknowledgement of first records.
    private func waitForProofs() async throws {
        let deadline = ContinuousClock.now + Self.patience
        takeProofs()
        while proven.isEmpty && admission.isProving && !stop.isSet && !flight.isInterrupted {
            if ContinuousClock.now >= deadline { break }
            try await onWait()
            await flight.roomSignal.wait(atMost: .milliseconds(50))
            takeProofs()
        }
        try flight.checkLock()
        openGates()
    }

    /// Sends the next row with nothing else in flight, so its result depends only on itself.
    private func produceAlone(_ id: Int64, _ queue: inout ProduceQueue, of page: Page) async throws {
        try await wait { flight.rows == 0 }
        guard let row = queue.next, !stop.isSet, !flight.isInterrupted else { return }
        let topicKey = page.topicKey(at: row, topics: &topics)
        switch flight.handingOver({ produceRow(of: page, at: row, now: .now, isAlone: true) }) {
        case .passed: queue.advance()
        case .deferred: return queue.deferNext()
        case .halt(.unpublishable(let id, let topicKey, let failure)):
            queue.advance()
            return try await setAside(id, topicKey, failure)
        case .halt(.full): return try await wait { flight.hasAmpleRoom }
        case .halt: return await flight.roomSignal.wait(atMost: .milliseconds(50))
        }
        alone = (id, topicKey)
        try await wait { flight.rows == 0 }
        takeProofs()
        if flight.rows > 0 || flight.isInterrupted { return }
        alone = nil
        suspects.remove(id)
    }

    // MARK: - what happened meanwhile

    /// Applies the results of first records between two pages.
    ///
    /// - Returns: whether any was acknowledged since the last call.
    func settle() -> Bool {
        takeProofs()
        openGates()
        admission.release(now: .now)
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
                // The rows behind this record are read again when the topic is tried again.
                hold(proof.probe.topic, row: proof.id, error)
            } else {
                flight.fail(Flight.Failure(id: proof.id, error: error))
            }
        }
    }

    private func openGates() {
        for proof in proven {
            let partitions = producer.partitions(of: proof.probe.topic)
            admission.open(proof.probe, partition: proof.partition, of: partitions)
        }
        if !proven.isEmpty { hasProven = true }
        proven = []
    }

    private func hold(_ topic: String, row id: Int64, _ error: KafkaError) {
        let wait = admission.hold(topic, row: id, now: .now)
        reports.held(topic, error, for: wait)
    }

    /// Switches to another producer. All proofs are dropped, and some rows are sent alone.
    ///
    /// - Parameter failures: the failures of the previous producer.
    func replace(_ producer: Producer, after failures: [Flight.Failure]) async throws {
        self.producer = producer
        proven = []
        admission.forgetProofs()
        let refused = failures.filter { DeliveryFailure($0.error) == .record }
        if let alone, let failure = refused.first(where: { $0.id == alone.id }) {
            try await setAside(alone.id, alone.topicKey, RowFailure(failure.error))
        } else {
            for failure in refused { suspects.insert(failure.id) }
        }
        alone = nil
    }

    /// Moves a row to `outbox_failed`. Its key waits from now on.
    private func setAside(_ id: Int64, _ topicKey: TopicKey, _ failure: RowFailure) async throws {
        admission.block(topicKey, id: id)
        suspects.remove(id)
        do {
            try await writer.setAside(id, topicKey, failure)
            reports.setAside(id, failure)
        } catch let error as PostgresError where error.endsConnection || error.code == .cancelled {
            throw error
        } catch {
            // The row stays in the outbox and its key waits too. The relay tries again after some time.
            let wait = Duration.milliseconds(configuration.unblockIntervalMs) * 15
            admission.block(topicKey, id: id, until: .now + wait)
            reports.cannotSetAside(id, failure, error)
        }
    }

    /// - Returns: whether a key was unblocked.
    func replaceBlocked(with keys: [TopicKey: Int64]) -> Bool { admission.replaceBlocked(with: keys, now: .now) }

    /// The id at which the backlog scan has to begin again; nil if it need not.
    func serveBacklog() -> Int64? { admission.serve() }

    func caughtUp() {
        admission.caughtUp()
        left = 0
    }

    func finishSweep() {
        left = leftInSweep
        leftInSweep = 0
    }

    func restartBacklog() { admission.restartBacklog() }
}
