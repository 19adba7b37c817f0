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
/// The one exception blocks nobody: when an event fails again whose row is gone (discarded, then restored), its row is
/// made anew without a sequence. Its order was given up when it was discarded.
struct ParkingPlan: Sendable, Equatable {
    /// An item as far as the plan needs to know it.
    struct Subject: Sendable, Equatable {
        enum Role: Sendable, Equatable {
            /// A record of one of the projection's topics.
            case first
            /// A record of the retry topic. What it stands for has been passed by its own partition's owner, or not.
            case retry(RecordOrigin, isPassed: Bool)
            case discard(RecordOrigin, isPassed: Bool)
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
        /// Letter `failed`; the row stays.
        case failAgain
        /// Letter `blocked`; nothing else.
        case blockAgain
        /// Delete the row, letter `discarded`.
        case discard
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
    ///   - processed: those of the retried events that are applied already.
    init(_ subjects: [Subject], parked: [SequenceKey: [RecordOrigin]], processed: Set<EventID> = []) {
        var parked: [SequenceKey: [RecordOrigin?]] = parked.mapValues { $0 }
        var processed = processed
        verdicts = subjects.map { subject in
            let rows = subject.sequence.flatMap { parked[$0] } ?? []
            switch subject.role {
            case .first:
                guard subject.hasFailed || !rows.isEmpty else { return .apply }
                // Its own origin is of no matter: a retry of it cannot be in the slice, as it was not passed before.
                if let sequence = subject.sequence { parked[sequence, default: []].append(nil) }
                return subject.hasFailed ? .parkFailed : .parkBlocked
            case .retry(_, isPassed: false), .discard(_, isPassed: false):
                return .tooEarly
            case .retry(let origin, isPassed: true):
                // A retry that comes twice is resolved twice: its row is gone, and what is parked now was behind it.
                let isDone = !subject.hasFailed && subject.eventID.map { processed.contains($0) } ?? true
                guard isDone || rows.isEmpty || rows[0] == origin else { return .blockAgain }
                if subject.hasFailed { return .failAgain }
                if let id = subject.eventID { processed.insert(id) }
                if let sequence = subject.sequence { parked[sequence]?.removeAll { $0 == origin } }
                return .resolve
            case .discard(let origin, isPassed: true):
                if let sequence = subject.sequence { parked[sequence]?.removeAll { $0 == origin } }
                return .discard
            }
        }
    }

    /// The items at these places are to be applied, if they were not before.
    func isApplied(_ index: Int) -> Bool { verdicts[index] == .apply || verdicts[index] == .resolve }

    // MARK: the brake

    /// Counts events that are parked one after the other, with none applied in between.
    ///
    /// Those that are blocked count from the second failure on: when a release fails every event, most of them are soon
    /// behind another one. When one key alone has failed, and nothing but that key comes, nothing is wrong with the
    /// release.
    private static func count(_ verdict: Verdict, after count: Int) -> Int {
        switch verdict {
        case .parkFailed: count + 1
        case .parkBlocked: count >= 2 ? count + 1 : count
        case .apply, .resolve, .failAgain, .blockAgain, .discard, .tooEarly: count
        }
    }

    /// The brake's count after the slice.
    ///
    /// - Parameters:
    ///   - before: the count before it.
    ///   - isFresh: whether the item at this place was applied, and for the first time.
    /// - Returns: whether something was applied, and the count since, or since the slice before.
    func failures(after before: Int, isFresh: (Int) -> Bool) -> (count: Int, isReset: Bool) {
        var count = before
        var isReset = false
        for (index, verdict) in verdicts.enumerated() {
            if isApplied(index) && isFresh(index) {
                count = 0
                isReset = true
            }
            count = Self.count(verdict, after: count)
        }
        return (count, isReset)
    }

    /// How many of the items may be in one transaction, so that the brake opens in time; nil for all.
    ///
    /// - Parameters:
    ///   - before: the brake's count.
    ///   - limit: at which it opens; 0: never.
    func allowance(after before: Int, limit: Int) -> Int? {
        guard limit > 0 else { return nil }
        var count = before
        for (index, verdict) in verdicts.enumerated() {
            count = isApplied(index) ? 0 : Self.count(verdict, after: count)
            if count >= limit && index + 1 < verdicts.count { return index + 1 }
        }
        return nil
    }
}
