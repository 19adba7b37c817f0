internal import Letters
internal import StreamCore

/// What stands for the order of a key: nothing of one may overtake anything of it.
struct SequenceKey: Hashable, Sendable {
    let topic: String
    let key: [UInt8]
}

/// What is to be done with each item of a slice, given what is parked already: a pure function.
///
/// A key is *blocked* while a row of it is parked. Rows are inserted by the owner of the event's partition alone, and
/// deleted by the owner of the retry topic's partition, which may be somebody else. Both hold their partition's row of
/// `projection_offsets` from the beginning of their transactions on, so neither meets a second owner of its kind, and
/// each looks up what is parked only after it has that row. They can meet each other:
///
/// - The one who retries deletes a row and commits; the other looked before and found the key *blocked*. Its event is
///   parked although nothing is before it: late, but in order, as the event that was retried is applied already. The
///   letter says `blocked`, and is retried as the first of its key.
/// - The other way round, a key found *free* that is not, cannot be: only the partition's owner blocks a key, and that
///   is who looks. An owner from before is either done, and then its rows are seen, or has not committed, and then it
///   never will, since its offset is no longer what it expects.
///
/// **A retry takes effect only while its row is there.** The row is deleted by the transaction that applies the event,
/// so whatever comes back later of the same origin, the event itself or an operator's correction of it, has no effect
/// any more. A row remembers the last delivery that was handled, and an earlier one, which comes twice or late, is
/// outdated: it may carry the value from before a correction. An event that is discarded keeps its row, without a
/// sequence: it blocks nobody, only a later delivery (of a letter that was restored) is applied, and then it waits for
/// nobody, as its order was given up with the discard.
struct ParkingPlan: Sendable, Equatable {
    /// A record of the retry topic.
    struct Delivery: Sendable, Equatable {
        let origin: RecordOrigin
        let number: Int
        /// What it stands for has been passed by its own partition's owner. Where there is a row it was in any case,
        /// also when the topic was made again since, and its offsets began anew.
        let isPassed: Bool
        /// The event was discarded by a release that deleted its row: that there is none does not mean it is applied.
        var isForgotten = false
    }

    /// What is parked of an origin.
    struct Row: Sendable, Equatable {
        /// It waits for others of its key, and they for it.
        var isInSequence: Bool
        var isDiscarded: Bool
        /// The last delivery that was handled.
        var delivery: Int
    }

    /// An item as far as the plan needs to know it.
    struct Subject: Sendable, Equatable {
        enum Role: Sendable, Equatable {
            /// A record of one of the projection's topics.
            case first
            case retry(Delivery)
            case discard(Delivery)
        }

        var role = Role.first
        /// nil when it waits for nothing and nothing waits for it.
        var sequence: SequenceKey?
        var hasFailed = false
        /// What is to be applied; nil when there is nothing.
        var eventID: EventID?
    }

    enum Verdict: Sendable, Equatable {
        case apply
        /// Letter `failed`, and a row.
        case parkFailed
        /// Letter `blocked`, and a row.
        case parkBlocked
        /// Apply what is to be applied, delete the row, letter `resolved`.
        case resolve
        /// There is no row, so the event is applied: letter `resolved`, and nothing else.
        case appliedBefore
        /// Letter `failed`; the row stays and notes the delivery.
        case failAgain
        /// Letter `blocked`; the row notes the delivery.
        case blockAgain
        /// The row no longer blocks its key; the letter is `discarded`.
        case discard
        /// There is no row to discard: letter `discarded`, and nothing else.
        case discardNothing
        /// The event was discarded by this later delivery: letter `discarded`.
        case discardedSince(Int)
        /// A later delivery was handled. Nothing is answered.
        case outdated
        /// The letter was written by a transaction that was rolled back, and the record itself is still to come: to
        /// apply it now would overtake those before it. Nothing is answered; the letter is sent again after a while.
        case tooEarly
    }

    /// By the items' order in the slice.
    let verdicts: [Verdict]

    /// - Parameters:
    ///   - subjects: the slice's items, in order.
    ///   - parked: of each key in the slice the first rows in the order of their positions: at least one more than the
    ///     slice has retries of the key, if there are as many.
    ///   - rows: what is parked of the origins that are retried or discarded.
    init(_ subjects: [Subject], parked: [SequenceKey: [RecordOrigin]], rows: [RecordOrigin: Row] = [:]) {
        var state = State(parked: parked.mapValues { Line($0) }, rows: rows)
        verdicts = subjects.map { subject in
            switch subject.role {
            case .first:
                guard subject.hasFailed || state.first(subject.sequence) != nil else { return .apply }
                // Its own origin is of no matter: a retry of it cannot be in the slice, as it was not passed before.
                if let sequence = subject.sequence { state.parked[sequence, default: Line([])].append() }
                return subject.hasFailed ? .parkFailed : .parkBlocked
            case .retry(let delivery): return state.retry(delivery, subject)
            case .discard(let delivery): return state.discard(delivery, subject)
            }
        }
    }

    /// What is parked of a sequence, in order. Rows go from its front as a rule, and a slice may retry thousands of one
    /// sequence: to take one out costs the same however many there are.
    private struct Line {
        /// nil for one of the slice's own.
        private var origins: [RecordOrigin?]
        private var front = 0
        /// Taken out though others were before them.
        private var gone: Set<RecordOrigin> = []

        init(_ origins: [RecordOrigin]) { self.origins = origins }

        /// The first row; nil when there is none, and nil in it for one of the slice's own.
        var first: RecordOrigin?? { origins[front...].first }

        mutating func append() { origins.append(nil) }

        mutating func remove(_ origin: RecordOrigin) {
            gone.insert(origin)
            while front < origins.count, let next = origins[front], take(next) { front += 1 }
        }

        /// Whether the row was taken out, by its own name or by one that lacks the timestamp. Only rows from before
        /// rows had one are searched for.
        private mutating func take(_ row: RecordOrigin) -> Bool {
            if gone.remove(row) != nil { return true }
            let found =
                row.timestampMs == nil
                ? gone.first { $0.isSame(as: row) } : RecordOrigin(partition: row.partition, offset: row.offset)
            return found.flatMap { gone.remove($0) } != nil
        }
    }

    /// What is parked as the slice goes on.
    private struct State {
        var parked: [SequenceKey: Line]
        var rows: [RecordOrigin: Row]

        /// The first row of a sequence; nil when there is none, and nil in it for one of the slice's own.
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

    /// The items at these places are to be applied, if they were not before.
    func isApplied(_ index: Int) -> Bool { verdicts[index] == .apply || verdicts[index] == .resolve }

    /// What is said of the item is a letter.
    func needsLetter(_ index: Int) -> Bool {
        switch verdicts[index] {
        case .apply, .outdated, .tooEarly: false
        case .parkFailed, .parkBlocked, .resolve, .appliedBefore, .failAgain, .blockAgain, .discard, .discardNothing,
            .discardedSince:
            true
        }
    }
}
