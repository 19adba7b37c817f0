internal import Kafka
internal import Letters
internal import Postgres
internal import StreamCore

/// Where a projection parks, and how.
struct Parking: Sendable {
    let sender: LetterSender
    let kafka: KafkaClientConfiguration

    var route: DeadLetterRoute { sender.route }
}

/// What became of a slice beside the events applied.
struct ParkingCounts: Sendable, Equatable {
    /// Letters written, by reason.
    var letters: [Letter.Reason: Int] = [:]
    /// Letters that were retried before their records.
    var tooEarly = 0
    /// Retries that came after a later delivery was handled.
    var outdated = 0
    /// One that failed, for the log.
    var example: (origin: RecordOrigin, failure: ItemFailure)?

    static func == (left: ParkingCounts, right: ParkingCounts) -> Bool {
        left.letters == right.letters && left.tooEarly == right.tooEarly && left.outdated == right.outdated
    }
}

/// What the database says of the keys and origins of a slice.
struct Parked {
    var rows: [SequenceKey: [RecordOrigin]] = [:]
    /// What is parked of the origins that are retried or discarded.
    var states: [RecordOrigin: ParkingPlan.Row] = [:]
    /// The next offsets of the partitions that retries come from.
    var passed: [TopicPartition: Int64] = [:]
}

/// The plan for a slice's items, and which of them it applies.
struct SlicePlan {
    let parking: ParkingPlan
    let failures: [Int: ItemFailure]
    let applied: ItemSelection
}

/// What a slice's plan comes to, once it is known what was applied.
struct SliceOutcome {
    var rows: [ParkedEvents.Row] = []
    var resolved: [RecordOrigin] = []
    /// Deliveries whose events stay parked.
    var handled: [ParkedEvents.Handled] = []
    var discarded: [ParkedEvents.Handled] = []
    var letters: [Letter] = []
    /// What circuit breakers count.
    var tally: FailureTally
    var counts = ParkingCounts()
}

extension BatchWriter {
    // MARK: looking up

    /// The statements that find out about a slice's keys and origins.
    struct Lookup {
        let keys: [(key: SequenceKey, limit: Int32)]
        let hasRetries: Bool
        let statements: [(Statement, Parameters)]

        /// - Parameter results: of the claim, and of ``statements``.
        func read(_ results: [QueryResult]) throws -> Parked {
            var parked = Parked()
            parked.rows = try ParkedEvents.rows(in: results[1], of: keys)
            guard hasRetries else { return parked }
            parked.passed = try OffsetTable.offsets(in: results[2])
            parked.states = try ParkedEvents.states(in: results[3])
            return parked
        }
    }

    /// Only keys that may be blocked are looked up, and those of retries: of these another one may know more.
    ///
    /// - Returns: nil when nothing can be parked of the slice's keys: the usual case.
    func lookup(_ batch: PreparedBatch<P.Event>, _ items: ItemSelection, _ session: Session) -> Lookup? {
        guard let parking, !items.isEmpty else { return nil }
        let retried = batch.retries.isEmpty ? [] : items.filter { batch.retries[$0] != nil }
        guard !blockedKeys.isEmpty || !retried.isEmpty else { return nil }
        var limits: [SequenceKey: Int32] = [:]
        if parking.route.order == .key {
            for item in retried {
                if let key = batch.sequence(item) { limits[key, default: 1] += 1 }
            }
            for item in blockedKeys.isEmpty ? .range(0..<0) : items {
                guard let key = batch.sequence(item), limits[key] == nil, blockedKeys.mayContain(key) else { continue }
                limits[key] = 1
            }
        }
        guard !limits.isEmpty || !retried.isEmpty else { return nil }
        let keys = limits.map { (key: $0.key, limit: $0.value) }
        var statements = [session.parked.first(of: keys)]
        if !retried.isEmpty {
            let partitions = Set(retried.map { batch.origin($0).partition })
            statements.append(session.offsets.peek(Array(partitions)))
            statements.append(session.parked.states(of: retried.map { batch.origin($0) }))
        }
        return Lookup(keys: keys, hasRetries: !retried.isEmpty, statements: statements)
    }

    /// - Returns: nil when all items are simply applied.
    /// - Throws: ``SliceTooLong`` when a circuit breaker must open before its end.
    func plan(
        _ batch: PreparedBatch<P.Event>, _ items: ItemSelection, _ slice: BatchSlice, _ found: Parked
    ) throws -> SlicePlan? {
        guard let parking else { return nil }
        if slice.failures.isEmpty && found.rows.isEmpty && batch.retries.isEmpty { return nil }
        let subjects = batch.subjects(
            items, failures: slice.failures, order: parking.route.order, passed: found.passed)
        let plan = ParkingPlan(subjects, parked: found.rows, rows: found.states)
        let applied = items.indices.filter { plan.isApplied($0) && subjects[$0].eventID != nil }.map { items[$0] }
        let slicePlan = SlicePlan(parking: plan, failures: slice.failures, applied: .list(applied))
        let cuts = breakerCuts(slicePlan, batch, items)
        if !cuts.isEmpty { throw SliceTooLong(cuts: cuts) }
        return slicePlan
    }

    // MARK: what comes of it

    func outcome(
        of plan: SlicePlan?, _ batch: PreparedBatch<P.Event>, _ items: ItemSelection, _ fresh: ItemSelection
    ) -> SliceOutcome {
        var outcome = SliceOutcome(tally: tally(plan, batch, items, fresh))
        guard let plan else { return outcome }
        for (index, verdict) in plan.parking.verdicts.enumerated() {
            let item = items[index]
            let failure = plan.failures[item]
            switch verdict {
            case .apply: break
            case .tooEarly: outcome.counts.tooEarly += 1
            case .parkFailed: outcome.park(item, .failed, batch, row(item, .failed, failure, batch), failure)
            case .parkBlocked: outcome.park(item, .blocked, batch, row(item, .blocked, nil, batch), nil)
            case .failAgain:
                if batch.retries[item]?.isForgotten == true {
                    // There may be no row, and the new one blocks nobody.
                    outcome.rows.append(row(item, .failed, failure, batch, blocks: false))
                }
                outcome.handled.append(handled(item, batch))
                outcome.park(item, .failed, batch, nil, failure)
            case .blockAgain:
                outcome.handled.append(handled(item, batch))
                outcome.park(item, .blocked, batch, nil, nil)
            case .resolve:
                outcome.resolved.append(batch.origin(item))
                outcome.letters.append(Letter(.resolved, item, of: batch))
            case .appliedBefore: outcome.letters.append(Letter(.resolved, item, of: batch))
            case .discard:
                outcome.discarded.append(handled(item, batch))
                var letter = Letter(.discarded, item, of: batch)
                letter.isRowKept = true
                outcome.letters.append(letter)
            case .discardNothing: outcome.letters.append(Letter(.discarded, item, of: batch))
            case .discardedSince(let delivery):
                var letter = Letter(.discarded, item, of: batch)
                letter.delivery = delivery
                letter.isRowKept = true
                outcome.letters.append(letter)
            case .outdated: outcome.counts.outdated += 1
            }
        }
        for letter in outcome.letters { outcome.counts.letters[letter.reason, default: 0] += 1 }
        return outcome
    }

    private func handled(_ item: Int, _ batch: PreparedBatch<P.Event>) -> ParkedEvents.Handled {
        ParkedEvents.Handled(origin: batch.origin(item), delivery: batch.retries[item]?.delivery ?? 1)
    }

    private func row(
        _ item: Int, _ reason: Letter.Reason, _ failure: ItemFailure?, _ batch: PreparedBatch<P.Event>,
        blocks: Bool = true
    ) -> ParkedEvents.Row {
        let identity = batch.identity(item)
        return ParkedEvents.Row(
            origin: batch.origin(item), key: blocks && parking?.route.order == .key ? batch.keyBytes(item) : nil,
            eventID: identity?.eventID ?? failure?.failure.eventID, day: identity?.timestamp.day, reason: reason,
            errorClass: failure?.failure.errorClass, delivery: batch.retries[item]?.delivery ?? 1)
    }

    // MARK: in the transaction

    /// Writes what is parked and what no longer is, and then the letters: the last step before COMMIT. They come twice
    /// when the transaction is rolled back after all, and are never missing.
    func settle(
        _ outcome: SliceOutcome, _ parking: Parking, _ session: Session, in transaction: PostgresTransaction,
        _ committed: inout Committed
    ) async throws {
        committed.parking = outcome.counts
        committed.blocked = outcome.rows.compactMap(\.sequence)
        var letters = outcome.letters
        do {
            var statements: [(Statement, Parameters)] = []
            if !outcome.rows.isEmpty { statements.append(session.parked.insert(outcome.rows)) }
            if !outcome.resolved.isEmpty { statements.append(session.parked.delete(outcome.resolved)) }
            if !outcome.handled.isEmpty { statements.append(session.parked.note(outcome.handled)) }
            if !outcome.discarded.isEmpty { statements.append(session.parked.discard(outcome.discarded)) }
            let isCounted = !outcome.tally.isUnchanged
            if isCounted { statements += session.breakers.count(outcome.tally) }
            let results = try await transaction.pipeline(statements)
            if isCounted {
                let opened = try counted(outcome.tally, results[results.count - 1], &committed)
                letters += opened
                if !opened.isEmpty { committed.parking.letters[.breakerOpened] = opened.count }
            }
            if !letters.isEmpty { try await deliver(letters, parking, session, in: transaction) }
        } catch let error as PostgresError where error.kind == .permanent {
            throw ParkingRefused(cause: error)
        }
    }

    /// What the broker does not take of a record is kept in the database, and its letter says so.
    func deliver(
        _ letters: [Letter], _ parking: Parking, _ session: Session, in transaction: PostgresTransaction
    ) async throws {
        let producer = try await producer(parking)
        var open = letters
        while true {
            let refused = Set(try await producer.deliver(open))
            for (index, letter) in open.enumerated() where !refused.contains(index) && letter.isKeptNow {
                guard let origin = letter.origin, let record = letter.record else { continue }
                let (statement, parameters) = session.parked.keep(letter.kept, of: record, at: origin)
                try await transaction.execute(statement, parameters)
            }
            if refused.isEmpty { return }
            open = try refused.sorted().map { index in
                guard let shorter = open[index].shorter else {
                    throw LetterError.unacceptable(topic: parking.route.letterTopic)
                }
                return shorter
            }
        }
    }

    private func producer(_ parking: Parking) async throws -> LetterProducer {
        if let letterProducer, !letterProducer.isUseless { return letterProducer }
        await letterProducer?.close()
        letterProducer = nil
        do throws(KafkaError) {
            let producer = try LetterProducer(parking.kafka, parking.sender)
            letterProducer = producer
            return producer
        } catch {
            throw LetterError.refused(error, topic: parking.route.letterTopic)
        }
    }

    // MARK: beside the transaction

    /// Reads and decodes the values of retried events that no broker takes.
    func fetchKeptValues(
        _ batch: inout PreparedBatch<P.Event>, _ slice: BatchSlice, _ session: Session
    ) async throws {
        for item in batch.layout.heavyItems where slice.items.contains(item) && slice.failures[item] == nil {
            let origin = batch.origin(item)
            let results = try await session.connection.pipeline(session.parked.kept(of: origin))
            // It is gone with its row: the event is applied, and there is nothing left to do but to say so again.
            guard let kept = try ParkedEvents.Kept(results), let record = batch.record(item) else { continue }
            if let key = kept.key { batch.fill(item, key: key) }
            do throws(EventFailure) {
                let original = record.standing(
                    for: origin.partition, offset: origin.offset, value: kept.value, headers: kept.headers)
                guard case .event(let identity, let event) = try projection.decode(original) else { continue }
                batch.fill(item, identity, event)
            } catch {
                throw ItemFailed(item: item, failure: ItemFailure(stage: .decode, failure: error))
            }
        }
    }

    /// How much is parked: rows, and keys that are blocked.
    func countParked() async -> (RunnerState.Input, rows: Int64, keys: Int64) {
        var counted: (rows: Int64, keys: Int64) = (0, 0)
        let input = await attempt { session in
            let (statement, parameters) = session.parked.counts()
            let result = try await session.connection.execute(statement, parameters)
            counted = (try result.int64(0, 0), try result.int64(0, 1))
            if blockedKeys.isOutdated(blocked: counted.keys) {
                let (statement, parameters) = session.parked.blockedKeys()
                let keys = try await session.connection.execute(statement, parameters)
                blockedKeys = try ParkedEvents.blockedKeys(in: keys)
            }
            return .counted
        }
        return (input, counted.rows, counted.keys)
    }
}

extension SliceOutcome {
    fileprivate mutating func park<Event>(
        _ item: Int, _ reason: Letter.Reason, _ batch: PreparedBatch<Event>, _ row: ParkedEvents.Row?,
        _ failure: ItemFailure?
    ) {
        if let row { rows.append(row) }
        letters.append(Letter(reason, item, of: batch, failure))
        if let failure { counts.example = (batch.origin(item), failure) }
    }
}

extension Letter {
    fileprivate init<Event>(
        _ reason: Reason, _ item: Int, of batch: PreparedBatch<Event>, _ failure: ItemFailure? = nil
    ) {
        let request = batch.retries[item]
        self.reason = reason
        record = batch.record(item)
        origin = batch.origin(item)
        delivery = request?.delivery ?? 1
        timestampMs = origin?.timestampMs
        eventID = batch.identity(item)?.eventID ?? failure?.failure.eventID
        stage = failure?.stage
        errorClass = failure?.failure.errorClass
        message = failure?.failure.message ?? (reason == .blocked ? "an earlier event of its key is parked" : nil)
        if reason.carriesRecord && request?.isValueKept == true { kept = .value }
        isKeptBefore = kept != .none
    }
}
