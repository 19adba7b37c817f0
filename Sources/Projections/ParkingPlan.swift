internal import Letters
internal import StreamCore

/// A key whose events keep their order: no event of the key may overtake another one.
struct SequenceKey: Hashable, Sendable {
    let topic: String
    let key: [UInt8]
}

/// The plan for each item of a slice, given what is parked already. A pure function.
///
/// A key is *blocked* while a row of it is parked. Only the owner of the event's partition inserts rows. The owner of
/// the retry topic's partition deletes them, and that may be another process. Both lock their partition's row of
/// `projection_offsets` at the beginning of their transactions, so neither meets a second owner of its own kind. Each
/// looks up what is parked only after it has that lock. The two can interfere in these ways:
///
/// - The retrying process deletes a row and commits, but the other process had looked before and found the key
///   *blocked*. It parks its event although no event is before it. That is late, but the order is kept, because the
///   retried event is already applied. The letter has the reason `blocked` and is retried as the first of its key.
/// - A key cannot be found *free* although it is blocked. Only the partition's owner blocks a key, and the same owner
///   looks it up. A previous owner has either committed, so its rows are visible, or it will never commit, because its
///   offset does not have the expected value any more.
///
/// **A retry takes effect only while its row exists.** The transaction that applies the event deletes the row. Whatever
/// arrives later with the same origin has no effect, whether it is the event itself or an operator's correction. A row
/// stores the last delivery that was handled. An earlier delivery that arrives twice or late is outdated, because it
/// may contain the value from before a correction. A discarded event keeps its row without a sequence, so it blocks no
/// other event. Only a later delivery, of a letter that was restored, is applied. It waits for no other event, because
/// its order was given up with the discard.
struct ParkingPlan: Sendable, Equatable {
    /// A record of the retry topic.
    struct Delivery: Sendable, Equatable {
        let origin: RecordOrigin
        let number: Int
        /// Whether the owner of the original partition has passed the original record. If there is a row, this was the
        /// case, even if the topic was created again since and its offsets began again at 0.
        let isPassed: Bool
        /// Whether the event was discarded by a release that deleted its row. A missing row then does not mean that the
        /// event is applied.
        var isForgotten = false
    }

    /// The parked state of an origin.
    struct Row: Sendable, Equatable {
        /// Whether it waits for others of its key, and others wait for it.
        var isInSequence: Bool
        var isDiscarded: Bool
        /// The last delivery that was handled.
        var delivery: Int
    }

    /// The data of an item that the plan needs.
    struct Subject: Sendable, Equatable {
        enum Role: Sendable, Equatable {
            /// A record of one of the projection's topics.
            case first
            case retry(Delivery)
            case discard(Delivery)
        }

        var role = Role.first
        /// The key whose order counts; nil if the item neither waits nor blocks.
        var sequence: SequenceKey?
        var hasFailed = false
        /// The event to apply; nil if there is none.
        var eventID: EventID?
    }

    enum Verdict: Sendable, Equatable {
        case apply
        /// Insert a row, and send a letter `failed`.
        case parkFailed
        /// Insert a row, and send a letter `blocked`.
        case parkBlocked
        /// Apply the event if there is one, delete the row, and send a letter `resolved`.
        case resolve
        /// There is no row, so the event is applied already. Only send a letter `resolved`.
        case appliedBefore
        /// Keep the row, store the delivery in it, and send a letter `failed`.
        case failAgain
        /// Keep the row, store the delivery in it, and send a letter `blocked`.
        case blockAgain
        /// Let the row no longer block its key, and send a letter `discarded`.
        case discard
        /// There is no row to discard. Only send a letter `discarded`.
        case discardNothing
        /// The event was discarded by this later delivery. Only send a letter `discarded`.
        case discardedSince(Int)
        /// A later delivery was handled. Nothing is sent.
        case outdated
        /// The letter was written by a transaction that was rolled back, and the record itself is still to be read.
        /// Applying it now would overtake earlier events. Nothing is sent, and the handler sends the retry again later.
        case tooEarly
    }

    /// The verdicts in the order of the items in the slice.
    let verdicts: [Verdict]

    /// - Parameters:
    ///   - subjects: the items of the slice, in order.
    ///   - parked: the first rows of each key in the slice, by position. For each key they must be at least one more
    ///     than the slice has retries of the key, if there are that many.
    ///   - rows: the parked states of the origins that are retried or discarded.
    init(_ subjects: [Subject], parked: [SequenceKey: [RecordOrigin]], rows: [RecordOrigin: Row] = [:]) {
        var state = State(parked: parked.mapValues { Line($0) }, rows: rows)
        verdicts = subjects.map { subject in
            switch subject.role {
            case .first:
                guard subject.hasFailed || state.first(subject.sequence) != nil else { return .apply }
                // Its own origin does not matter. A retry of it cannot be in the slice, because the record was not
                // passed before.
                if let sequence = subject.sequence { state.parked[sequence, default: Line([])].append() }
                return subject.hasFailed ? .parkFailed : .parkBlocked
            case .retry(let delivery): return state.retry(delivery, subject)
            case .discard(let delivery): return state.discard(delivery, subject)
            }
        }
    }

    /// The parked rows of a sequence, in order. Rows are usually removed from the front, and a slice may retry
    /// thousands of one sequence. The cost of a removal does not depend on the number of rows.
    private struct Line {
        /// nil stands for a row that this slice adds.
        private var origins: [RecordOrigin?]
        private var front = 0
        /// Rows that were removed although others are before them.
        private var gone: Set<RecordOrigin> = []

        init(_ origins: [RecordOrigin]) { self.origins = origins }

        /// The first row; nil if there is none. The inner value is nil for a row that this slice adds.
        var first: RecordOrigin?? { origins[front...].first }

        mutating func append() { origins.append(nil) }

        mutating func remove(_ origin: RecordOrigin) {
            gone.insert(origin)
            while front < origins.count, let next = origins[front], take(next) { front += 1 }
        }

        /// Whether the row was removed, by its own origin or by one without a timestamp. Only old rows, which have no
        /// timestamp, need a search.
        private mutating func take(_ row: RecordOrigin) -> Bool {
            if gone.remove(row) != nil { return true }
            let found =
                row.timestampMs == nil
                ? gone.first { $0.isSame(as: row) } : RecordOrigin(partition: row.partition, offset: row.offset)
            return found.flatMap { gone.remove($0) } != nil
        }
    }

    /// The parked state while the slice is planned.
    private struct State {
        var parked: [SequenceKey: Line]
        var rows: [RecordOrigin: Row]

        /// The first row of a sequence; nil if there is none. The inner value is nil for a row that this slice adds.
        func first(_ sequence: SequenceKey?) -> RecordOrigin?? { sequence.flatMap { parked[$0]?.first } }

        mutating func retry(_ delivery: Delivery, _ subject: Subject) -> Verdict {
            guard delivery.isPassed || rows[delivery.origin] != nil else { return .tooEarly }
            let forgotten = delivery.isForgotten ? Row(isInSequence: false, isDiscarded: true, delivery: 0) : nil
            guard let row = rows[delivery.origin] ?? forgotten else { return .appliedBefore }
            if row.isDiscarded && delivery.number <= row.delivery { return .discardedSince(row.delivery) }
            if delivery.number < row.delivery { return .outdated }
            let isFirst = first(subject.sequence).map { $0?.isSame(as: delivery.origin) == true } ?? true
            let isBlocked = row.isInSequence && !isFirst
            guard !isBlocked && !subject.hasFailed else {
                rows[delivery.origin] = Row(
                    isInSequence: row.isInSequence, isDiscarded: false, delivery: delivery.number)
                return isBlocked ? .blockAgain : .failAgain
            }
            remove(delivery.origin, subject.sequence)
            return .resolve
        }

        mutating func discard(_ delivery: Delivery, _ subject: Subject) -> Verdict {
            guard delivery.isPassed || rows[delivery.origin] != nil else { return .tooEarly }
            guard let row = rows[delivery.origin] else { return .discardNothing }
            if delivery.number < row.delivery {
                return row.isDiscarded ? .discardedSince(row.delivery) : .outdated
            }
            remove(delivery.origin, subject.sequence)
            rows[delivery.origin] = Row(isInSequence: false, isDiscarded: true, delivery: delivery.number)
            return .discard
        }

        private mutating func remove(_ origin: RecordOrigin, _ sequence: SequenceKey?) {
            rows[origin] = nil
            if let sequence { parked[sequence]?.remove(origin) }
        }
    }

    /// Whether the item's event is to be applied if it was not applied before.
    func isApplied(_ index: Int) -> Bool { verdicts[index] == .apply || verdicts[index] == .resolve }

    /// Whether the item needs a letter.
    func needsLetter(_ index: Int) -> Bool {
        switch verdicts[index] {
        case .apply, .outdated, .tooEarly: false
        case .parkFailed, .parkBlocked, .resolve, .appliedBefore, .failAgain, .blockAgain, .discard, .discardNothing,
            .discardedSince:
            true
        }
    }
}
