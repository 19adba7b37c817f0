internal import Letters
internal import StreamCore

/// What a slice did besides applying events.
struct ParkingCounts: Sendable, Equatable {
    /// The number of letters by reason.
    var letters: [Letter.Reason: Int] = [:]
    /// The number of retries that arrived before the original record was passed.
    var tooEarly = 0
    /// The number of retries that arrived after a later delivery was handled.
    var outdated = 0
    /// One failed event, for the log.
    var example: (origin: RecordOrigin, failure: ItemFailure)?

    static func == (left: ParkingCounts, right: ParkingCounts) -> Bool {
        left.letters == right.letters && left.tooEarly == right.tooEarly && left.outdated == right.outdated
    }
}

/// The rows and letters that result from a slice's plan, after it is known which events were applied.
struct SliceOutcome {
    var rows: [ParkedEvents.Row] = []
    var resolved: [RecordOrigin] = []
    /// Handled deliveries whose events stay parked.
    var handled: [ParkedEvents.Handled] = []
    var discarded: [ParkedEvents.Handled] = []
    var letters: [Letter] = []
    /// The changes of failure counts.
    var tally: FailureTally
    var counts = ParkingCounts()
}

extension SliceOutcome {
    /// - Parameters:
    ///   - plan: the plan; nil if all items were simply applied.
    ///   - tally: the changes of failure counts by the slice.
    ///   - order: which events wait for a failed event.
    init<Event>(
        of plan: SlicePlan?, _ batch: PreparedBatch<Event>, _ items: ItemSelection, _ tally: FailureTally,
        order: DeadLetterRoute.Order
    ) {
        self.tally = tally
        guard let plan else { return }
        func row(
            _ item: Int, _ reason: Letter.Reason, _ failure: ItemFailure?, blocks: Bool = true
        ) -> ParkedEvents.Row {
            ParkedEvents.Row(reason, item, of: batch, failure, blocks: blocks && order == .key)
        }
        for (index, verdict) in plan.parking.verdicts.enumerated() {
            let item = items[index]
            let failure = plan.failures[item]
            switch verdict {
            case .apply: break
            case .tooEarly: counts.tooEarly += 1
            case .parkFailed: park(item, .failed, batch, row(item, .failed, failure), failure)
            case .parkBlocked: park(item, .blocked, batch, row(item, .blocked, nil), nil)
            case .failAgain:
                if batch.retries[item]?.isForgotten == true {
                    // There may be no row. A new row must not block other events.
                    rows.append(row(item, .failed, failure, blocks: false))
                }
                self.handled.append(ParkedEvents.Handled(item, of: batch))
                park(item, .failed, batch, nil, failure)
            case .blockAgain:
                self.handled.append(ParkedEvents.Handled(item, of: batch))
                park(item, .blocked, batch, nil, nil)
            case .resolve:
                resolved.append(batch.origin(item))
                letters.append(Letter(.resolved, item, of: batch))
            case .appliedBefore: letters.append(Letter(.resolved, item, of: batch))
            case .discard:
                discarded.append(ParkedEvents.Handled(item, of: batch))
                var letter = Letter(.discarded, item, of: batch)
                letter.isRowKept = true
                letters.append(letter)
            case .discardNothing: letters.append(Letter(.discarded, item, of: batch))
            case .discardedSince(let delivery):
                var letter = Letter(.discarded, item, of: batch)
                letter.delivery = delivery
                letter.isRowKept = true
                letters.append(letter)
            case .outdated: counts.outdated += 1
            }
        }
        for letter in letters { counts.letters[letter.reason, default: 0] += 1 }
    }

    private mutating func park<Event>(
        _ item: Int, _ reason: Letter.Reason, _ batch: PreparedBatch<Event>, _ row: ParkedEvents.Row?,
        _ failure: ItemFailure?
    ) {
        if let row { rows.append(row) }
        letters.append(Letter(reason, item, of: batch, failure))
        if let failure { counts.example = (batch.origin(item), failure) }
    }
}

extension ParkedEvents.Handled {
    fileprivate init<Event>(_ item: Int, of batch: PreparedBatch<Event>) {
        self.init(origin: batch.origin(item), delivery: batch.retries[item]?.delivery ?? 1)
    }
}

extension ParkedEvents.Row {
    fileprivate init<Event>(
        _ reason: Letter.Reason, _ item: Int, of batch: PreparedBatch<Event>, _ failure: ItemFailure?, blocks: Bool
    ) {
        let identity = batch.identity(item)
        self.init(
            origin: batch.origin(item), key: blocks ? batch.keyBytes(item) : nil,
            eventID: identity?.eventID ?? failure?.failure.eventID, day: identity?.timestamp.day, reason: reason,
            errorClass: failure?.failure.errorClass, delivery: batch.retries[item]?.delivery ?? 1)
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
