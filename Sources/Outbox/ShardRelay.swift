internal import Kafka
internal import Postgres
internal import StreamCore

/// Publishes one shard for as long as it holds the shard's lock. A row's way, top to bottom:
///
///     read a page  →  launch its rows  →  Kafka acknowledges  →  Remover removes them
///
/// Each step runs while the others do: the next page is read while one is launched, many pages are in flight, and rows
/// are removed as they are acknowledged.
///
/// Whatever goes wrong has one cure: forget what is not acknowledged and go back to the lowest row. Rows that are on
/// their way are told apart by the ``FlightTable``, so going back repeats nothing that Kafka has.
final class ShardRelay {
    private let configuration: OutboxRelayConfiguration
    private let layout: RowLayout
    private let statements: OutboxStatements
    private let reader: PostgresConnection
    private let questions: OutboxQuestions
    private let session: LockSession
    private let kafka: KafkaClientConfiguration
    private let flight: Flight
    private let stop: StopSignal
    private let reports: RelayReports

    private var producer: Producer
    private var cursor = ScanCursor()
    private var pacing: PollPacing
    private var sizing: PageSizing
    private var sweeps: SweepSchedule
    private var blocked = BlockedLanes()
    private var gates = TopicGates()
    private var topics: TopicNames
    private var envelope = EnvelopeWriter()
    private var headers = RelayHeaders()
    /// Rows of a batch that was refused for a record in it: each goes alone until the guilty one is found.
    private var suspects: Set<Int64> = []
    private var restartBackoff = Backoff(initial: .milliseconds(50), ceiling: .seconds(10))
    private var housekeeping: Housekeeping
    /// A topic that is known to be open, so that the next row need not look.
    private var openTopic: String?
    /// When the last event read happened, while there are more to read.
    private var lagging: Timestamp?
    /// The last page was full: there may be more rows behind it.
    private var isBehind = false
    /// Rows passed over since the cursor was at the lowest row: their key or their topic is held.
    private var left: Int64 = 0
    /// Rows of the page at hand that are not sent yet.
    private var unlaunched: Int64 = 0

    init(
        _ configuration: OutboxRelayConfiguration, layout: RowLayout, statements: OutboxStatements,
        reader: PostgresConnection, session: LockSession, kafka: KafkaClientConfiguration, flight: Flight,
        stop: StopSignal, reports: RelayReports
    ) throws(KafkaError) {
        self.configuration = configuration
        self.layout = layout
        self.statements = statements
        self.reader = reader
        questions = OutboxQuestions(reader: reader, session: session, statements: statements)
        self.session = session
        self.kafka = kafka
        self.flight = flight
        self.stop = stop
        self.reports = reports
        pacing = PollPacing(
            busy: .milliseconds(configuration.busyPollMs), idle: .milliseconds(configuration.idlePollMs))
        sizing = PageSizing(maximumRows: configuration.pageRows, targetBytes: configuration.pageBytes)
        sweeps = SweepSchedule(interval: .milliseconds(configuration.sweepIntervalMs), now: .now)
        topics = TopicNames(rule: layout.topics)
        housekeeping = Housekeeping(configuration)
        producer = try RelayProducer.make(configuration, kafka, flight, reports)
        flight.use(producer)
    }

    /// Runs until told to stop; then waits for acknowledgements as long as configured.
    ///
    /// - Throws: what the database refused, or how the lock was lost. Nothing is published afterwards in any case.
    func run() async throws {
        do {
            try await publishUntilStopped()
        } catch {
            producer.purge()
            await producer.close(timeoutMs: 0)
            throw error
        }
        await producer.close(timeoutMs: Int32(clamping: configuration.drainTimeoutMs))
        let undelivered = flight.rows + flight.abandonProducer().count
        if undelivered > 0 { reports.undelivered(undelivered) }
    }

    // MARK: - read

    private func publishUntilStopped() async throws {
        _ = blocked.replace(with: try await questions.blockedLanes(by: layout.topics), now: .now)
        var asked = ContinuousClock.now
        var page = try await read(nextRequest())
        while !stop.isSet {
            try await settle()
            // A page that was asked for before the cursor was rewound is dropped.
            let isCurrent = cursor.take(page.ids, of: page.request)
            if isCurrent { noteRead(page) }
            if isCurrent && page.isFull {
                _ = pacing.next(after: .full, cost: .zero)
                asked = .now
                let request = nextRequest()
                let (reader, (statement, parameters)) = (reader, statements.query(for: request))
                async let following = reader.execute(statement, parameters)
                try await launch(page)
                page = try Page(request, try await following)
            } else {
                if isCurrent {
                    try await launch(page)
                    let wait = pacing.next(after: page.ids.isEmpty ? .empty : .some, cost: .now - asked)
                    await flight.newsBell.wait(atMost: wait)
                }
                asked = .now
                page = try await read(nextRequest())
            }
        }
    }

    private func nextRequest() -> ScanCursor.Request {
        let request = cursor.nextRequest(limit: sizing.rows)
        flight.willRead(request.number)
        return request
    }

    private func read(_ request: ScanCursor.Request) async throws -> Page {
        let (statement, parameters) = statements.query(for: request)
        return try Page(request, try await reader.execute(statement, parameters))
    }

    private func noteRead(_ page: Page) {
        isBehind = page.isFull
        lagging =
            page.isFull ? try? page.result.optionalTimestamp(page.ids.count - 1, RowColumn.occurredAt.rawValue) : nil
        sizing.read(rows: page.ids.count, bytes: page.bytes)
        reports.read(rows: page.ids.count)
        if !cursor.isRescanning { sweeps.finished(at: .now) }
    }

    // MARK: - launch: map and produce

    /// Why launching a page's rows came to a halt.
    private enum Halt {
        case finished
        /// No room in flight.
        case full
        /// The producer's own queue is full: wait for any delivery.
        case producerFull
        /// The first record to a topic was sent; see whether the topic takes it.
        case proving(String)
        /// This row has to go alone.
        case suspect(Int64)
        case unpublishable(Int64, Lane, RowFailure)
        /// The producer failed or the lock is lost.
        case interrupted
    }

    private func launch(_ page: Page) async throws {
        if page.ids.isEmpty { return }
        try await ensureLock()
        // Only rows that the cursor has passed before can be on their way already.
        let known = flight.known(among: page.ids.filter { $0 <= page.request.seen }, ofPage: page.request.number)
        let order = LaunchOrder.places(of: page, partitions: flight.partitions)
        var place = 0
        defer { unlaunched = 0 }
        while !stop.isSet && cursor.isCurrent(page.request) {
            let halt = launchRows(of: page, in: order, from: &place, skipping: known)
            unlaunched = Int64(page.ids.count - place)
            switch halt {
            case .finished, .interrupted: return
            case .full: try await wait { flight.hasAmpleRoom }
            case .producerFull: await flight.roomBell.wait(atMost: .milliseconds(50))
            case .proving(let topic): try await waitForProof(of: topic)
            case .suspect(let id): try await launchAlone(id, in: order, at: &place, of: page)
            case .unpublishable(let id, let lane, let failure): try await setAside(id, lane, failure)
            }
        }
    }

    /// Launches rows until all are, or something has to be waited for. `place` is where to go on in `order`, which is
    /// the page's own where it is nil.
    private func launchRows(
        of page: Page, in order: [Int]?, from place: inout Int, skipping known: Set<Int64>, alone: Bool = false
    ) -> Halt {
        flight.handingOver {
            while place < page.ids.count {
                let row = order?[place] ?? place
                let id = page.ids[row]
                if !known.isEmpty && known.contains(id) {
                    place += 1
                    continue
                }
                if !alone && !suspects.isEmpty && suspects.contains(id) { return .suspect(id) }
                let halt = launchRow(of: page, at: row)
                switch halt {
                case .full, .producerFull, .interrupted: return halt ?? .finished
                default: place += 1
                }
                if let halt { return halt }
                if alone { return .finished }
            }
            return .finished
        }
    }

    /// - Returns: nil when the row was launched, or left in the outbox because its key or topic is held.
    private func launchRow(of page: Page, at index: Int) -> Halt? {
        let id = page.ids[index]
        do throws(any Error) {
            let row = try page.result.outboxRow(index, as: layout.value)
            let key: Span<UInt8>
            if let ownKey = row.key { key = ownKey } else { key = row.aggregateID }
            let topic = topics.topic(aggregateType: row.aggregateType, explicit: row.topic)
            if !blocked.isEmpty && blocked.contains(topic: topic.name, key: key) {
                left += 1
                return nil
            }
            guard topic.isLegal else {
                throw RowFailure("invalid_topic", "no topic can have the name that the row asks for")
            }
            var topicToProve: String?
            switch topic.name == openTopic ? .open : gates.gate(of: topic.name) {
            case .open: openTopic = topic.name
            case .untried: topicToProve = topic.name
            case .proving, .held:
                gates.leave()
                left += 1
                return nil
            }
            return try send(row, to: topic.name, key: key, topicToProve: topicToProve)
        } catch {
            let lane = page.lane(at: index, topics: &topics)
            switch error {
            case let failure as RowFailure: return .unpublishable(id, lane, failure)
            case let error as KafkaError where DeliveryFailure(error) == .record:
                return .unpublishable(id, lane, RowFailure(error))
            default: return .unpublishable(id, lane, RowFailure("invalid_row", "\(error)"))
            }
        }
    }

    /// - Throws: ``RowFailure`` or ``KafkaError`` when the row itself is at fault.
    private func send(
        _ row: borrowing OutboxRow, to topic: String, key: Span<UInt8>, topicToProve: String?
    ) throws -> Halt? {
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
        switch flight.launch(id: row.id, bytes: size, occurredAt: row.occurredAt, topicToProve: topicToProve) {
        case .launched(let launched): tag = launched
        case .full: return .full
        case .interrupted: return .interrupted
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
            if error.isQueueFull { return .producerFull }
            switch DeliveryFailure(error) {
            case .record: throw error
            case .topic:
                hold(topic, error)
                left += 1
                return nil
            case .producer:
                flight.fail(Flight.Failure(id: row.id, error: error))
                return .interrupted
            }
        }
        guard let topicToProve else { return nil }
        gates.prove(topicToProve)
        return .proving(topicToProve)
    }

    // MARK: - wait

    private func wait(until condition: () -> Bool) async throws {
        while !stop.isSet && !condition() {
            try flight.checkLock()
            // The broker may be away for hours, which is not for this loop to be blamed for.
            try await tellProgress()
            await flight.roomBell.wait(atMost: .seconds(1))
        }
    }

    /// Gives a topic a moment to take its first record; if it takes longer, other topics go on meanwhile.
    private func waitForProof(of topic: String) async throws {
        let deadline = ContinuousClock.now + .milliseconds(500)
        while gates.gate(of: topic) == .proving && !stop.isSet && !flight.hasFailed && ContinuousClock.now < deadline {
            try flight.checkLock()
            try await tellProgress()
            await flight.roomBell.wait(atMost: .milliseconds(50))
            try await takeProofs()
        }
    }

    /// Sends one row with nothing else in flight, so that what happens to it is its own doing.
    private func launchAlone(
        _ id: Int64, in order: [Int]?, at place: inout Int, of page: Page
    ) async throws {
        try await wait { flight.rows == 0 || flight.hasFailed }
        if stop.isSet || flight.hasFailed { return }
        let start = place
        let halt = launchRows(of: page, in: order, from: &place, skipping: [], alone: true)
        if case .unpublishable(let id, let lane, let failure) = halt { return try await setAside(id, lane, failure) }
        try await wait { flight.rows == 0 || flight.hasFailed }
        try await takeProofs()
        if flight.hasFailed {
            let failures = try await replaceProducer()
            if let failure = failures.first(where: { $0.id == id }), DeliveryFailure(failure.error) == .record {
                try await setAside(
                    id, page.lane(at: order?[place - 1] ?? place - 1, topics: &topics), RowFailure(failure.error))
            }
        } else if flight.rows == 0 && place > start {
            suspects.remove(id)
        }
    }

    // MARK: - settle: what happened meanwhile

    /// Between two pages: failures, topics, the lock, and what is due.
    private func settle() async throws {
        try flight.checkLock()
        try await takeProofs()
        if flight.hasFailed {
            for failure in try await replaceProducer() where DeliveryFailure(failure.error) == .record {
                suspects.insert(failure.id)
            }
        }
        let now = ContinuousClock.now
        if gates.release(now: now) || sweeps.isDue(at: now) && !cursor.isRescanning { rewind() }
        if cursor.gaps.wantsLockHolders && housekeeping.gaps.isDue(now) {
            cursor.lockHolders(try await questions.lockHolders())
        }
        if !blocked.isEmpty && housekeeping.blocked.isDue(now) {
            if blocked.replace(with: try await questions.blockedLanes(by: layout.topics), now: now) {
                reports.released()
                rewind()
            }
        }
        try await tellProgress()
    }

    /// Once a second, whatever the relay waits for: numbers that stand still would look like true ones.
    private func tellProgress() async throws {
        guard housekeeping.progress.isDue(.now) else { return }
        // What the last page did not show was not there: only behind a full one can there be more.
        let position = cursor.isRescanning && cursor.position > 0 ? cursor.position : cursor.highest
        let unread = isBehind ? max(0, try await questions.lastPosition() - max(position, 0)) : 0
        reports.progress(
            .init(
                inFlight: flight.rows, backlog: unread / Int64(configuration.shards) + unlaunched + left,
                blockedKeys: blocked.lanes.count, heldTopics: gates.heldCount,
                oldest: [flight.oldest, lagging].compactMap(\.self).min()))
    }

    private func rewind() {
        cursor.rewind()
        left = 0
        openTopic = nil
        gates.rewound()
        sweeps.started(at: .now)
    }

    /// - Throws: when the session that holds the lock does not answer, or no longer holds it.
    private func ensureLock() async throws {
        try flight.checkLock()
        guard ContinuousClock.now - flight.lastContact >= .milliseconds(configuration.leaseCheckMs) else { return }
        // This process may have been suspended for long: another one may hold the lock by now.
        try await session.verify()
        flight.noteContact()
    }

    private func takeProofs() async throws {
        for proof in flight.takeProofs() {
            guard let failure = proof.failure else {
                restartBackoff.reset()
                if gates.open(proof.topic) { rewind() }
                continue
            }
            if DeliveryFailure(failure.error) == .topic {
                // No other row of the topic was sent: they all come again when it is tried again.
                hold(proof.topic, failure.error)
            } else {
                flight.fail(failure)
            }
        }
    }

    private func hold(_ topic: String, _ error: KafkaError) {
        openTopic = nil
        let wait = gates.hold(topic, now: .now)
        reports.held(topic, error, for: wait)
    }

    /// Gives up the producer with all it holds, and goes back to the lowest row with a new one.
    private func replaceProducer() async throws -> [Flight.Failure] {
        producer.purge()
        await producer.close(timeoutMs: 0)
        let failures = flight.abandonProducer()
        reports.replacing(failures.first?.error, rows: failures.count)
        if !failures.contains(where: { DeliveryFailure($0.error) == .record }) {
            await flight.newsBell.wait(atMost: restartBackoff.next())
        }
        try flight.checkLock()
        producer = try RelayProducer.make(configuration, kafka, flight, reports)
        flight.use(producer)
        gates.forgetProofs()
        rewind()
        return failures
    }

    /// Moves a row to the failed ones; its key waits from now on. Where that fails, the row stays, its key waits as
    /// well, and it is tried again after a while.
    private func setAside(_ id: Int64, _ lane: Lane, _ failure: RowFailure) async throws {
        blocked.block(lane)
        suspects.remove(id)
        do {
            try await session.setAside(id, lane, failure)
            reports.setAside(id, failure)
        } catch let error as PostgresError where error.endsConnection || error.code == .cancelled {
            throw error
        } catch {
            blocked.block(lane, until: .now + .milliseconds(configuration.unblockIntervalMs) * 15)
            reports.cannotSetAside(id, failure, error)
        }
    }
}
