internal import StreamCore

/// The open circuit breaker of one partition. It keeps a release that fails on every event from turning each event into
/// a dead letter. The partition is paused. From time to time it is read again and one event is tried, until one can be
/// applied.
///
/// The counts are in the database (``FailureCounts``). So an open circuit breaker survives restarts and rebalances, and
/// an operator can release it, because each trial begins by reading the counts.
struct CircuitBreaker: Sendable {
    /// The kinds of failures that keep it open.
    var kinds: [FailureCounts.Kind]
    /// The number of trials in this run.
    private(set) var trials = 0
    private var backoff: Backoff
    /// The timer of the next trial.
    private var timer: Int?

    init(_ kinds: [FailureCounts.Kind], initial: Duration, ceiling: Duration) {
        self.kinds = kinds
        backoff = Backoff(initial: initial, ceiling: ceiling)
    }

    /// Pauses the partition until `timer` fires.
    ///
    /// - Returns: the delay of the timer.
    mutating func hold(until timer: Int) -> Duration {
        self.timer = timer
        return backoff.next()
    }

    /// - Returns: whether the partition should be read again; false for the timer of an earlier pause.
    mutating func fired(_ timer: Int) -> Bool {
        guard timer == self.timer else { return false }
        self.timer = nil
        return true
    }

    /// Counts a trial.
    ///
    /// - Returns: the number of earlier trials.
    mutating func takeTrial() -> Int {
        defer { trials += 1 }
        return trials
    }

    /// The index of the candidate that a trial uses.
    ///
    /// Candidates are not tried in sequence: if the first thousand events fail and the next one does not, that would
    /// take a day. The fractions 0, 1/2, 1/4, 3/4, 1/8 … soon reach every region of the candidates, and finally all of
    /// them.
    static func place(of trial: Int, among count: Int) -> Int {
        var fraction = 0.0
        var step = 0.5
        var rest = trial
        while rest > 0 {
            if rest & 1 == 1 { fraction += step }
            step /= 2
            rest >>= 1
        }
        return min(count - 1, Int(fraction * Double(count)))
    }
}

/// The changes that a transaction made to the failure counts of a partition.
struct BreakerNews: Sendable, Equatable {
    /// The kinds of failures whose limit is reached.
    var open: [FailureCounts.Kind]
    /// Whether events were parked and counted.
    var hasCounted: Bool
}

/// A request to try one event of a partition whose circuit breaker is open, and to roll it back.
struct TrialOrder: Sendable, Equatable {
    let batch: BatchID
    let partition: TopicPartition
    /// The index of the partition's part of the batch.
    let part: Int
    /// The events that can be tried. The trial uses one of a suitable type.
    let candidates: [Int]
    /// The kinds of failures for which the circuit breaker is open.
    let kinds: [FailureCounts.Kind]
    /// The number of earlier trials.
    let number: Int
}

enum TrialOutcome: Sendable {
    /// The event can be applied. The circuit breaker is still open for the kinds in `open`.
    case passed(open: [FailureCounts.Kind])
    case failed(EventFailure)
    /// There is no event of a suitable type, or none that can be decoded.
    case nothingToTry
    /// The event can be applied, but Kafka did not accept the letter about that.
    case lettersFailed(LetterError)
}

/// A request to try one event alone, when others fail. If it can be applied, the others are the cause.
struct ProbeOrder: Sendable, Equatable {
    let batch: BatchID
    let item: Int
}

/// A change of a partition's circuit breaker.
enum BreakerNote: Sendable, Equatable {
    /// It opened, or was already open in the database.
    case open([FailureCounts.Kind])
    case closed(ClosedBy)

    enum ClosedBy: Sendable, Equatable {
        /// An event could be applied.
        case success
        /// It is closed in the database, because an operator released it or another process closed it.
        case database
    }
}
