internal import StreamCore

/// The open circuit breaker of one partition: it keeps a release that fails every event from making a dead letter of
/// each. The partition is held; now and then it is read again and one event is tried, until one can be applied.
///
/// The counts are in the database (``FailureCounts``), so an open circuit breaker survives restarts and rebalances, and
/// an operator can release it: each trial begins by reading them.
struct CircuitBreaker: Sendable {
    /// What keeps it open.
    var kinds: [FailureCounts.Kind]
    /// Trials in this run.
    private(set) var trials = 0
    private var backoff: Backoff
    /// The timer that the next trial waits for.
    private var timer: Int?

    init(_ kinds: [FailureCounts.Kind], initial: Duration, ceiling: Duration) {
        self.kinds = kinds
        backoff = Backoff(initial: initial, ceiling: ceiling)
    }

    /// The partition is held until this timer fires.
    mutating func hold(until timer: Int) -> Duration {
        self.timer = timer
        return backoff.next()
    }

    /// - Returns: whether the partition is to be read again; false for the timer of a hold that is over.
    mutating func fired(_ timer: Int) -> Bool {
        guard timer == self.timer else { return false }
        self.timer = nil
        return true
    }

    /// Notes a trial.
    ///
    /// - Returns: how many there were before.
    mutating func takeTrial() -> Int {
        defer { trials += 1 }
        return trials
    }

    /// Which of so many candidates a trial takes.
    ///
    /// Not one after the other: when the first thousand are bad and the next is good, that takes a day. The fractions
    /// 0, 1/2, 1/4, 3/4, 1/8 … meet both soon, and in the end all of them.
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

/// What a transaction counted of a partition.
struct BreakerNews: Sendable, Equatable {
    /// The kinds of failures whose limit is reached.
    var open: [FailureCounts.Kind]
    /// Events were parked, and counted.
    var hasCounted: Bool
}

/// One event of a partition whose circuit breaker is open, to try and to take back.
struct TrialOrder: Sendable, Equatable {
    let batch: BatchID
    let partition: TopicPartition
    /// The index of the partition's part of the batch.
    let part: Int
    /// Events that may be tried; those of the right type are chosen from.
    let candidates: [Int]
    /// What the circuit breaker is open for.
    let kinds: [FailureCounts.Kind]
    /// How many trials there were before.
    let number: Int
}

enum TrialOutcome: Sendable {
    /// The event can be applied. What the circuit breaker is still open for is left.
    case passed(open: [FailureCounts.Kind])
    case failed(EventFailure)
    /// There is no event of a type that it is open for, or none that can be decoded.
    case nothingToTry
    /// The event can be applied, but the letter that says so cannot be written.
    case lettersFailed(LetterError)
}

/// One event to try beside others that fail: when it can be applied, they are to blame.
struct ProbeOrder: Sendable, Equatable {
    let batch: BatchID
    let item: Int
}

/// What became known of a partition's circuit breaker.
enum BreakerNote: Sendable, Equatable {
    /// It opened, or was found open.
    case open([FailureCounts.Kind])
    case closed(ClosedBy)

    enum ClosedBy: Sendable, Equatable {
        /// An event could be applied.
        case success
        /// The database has it closed: an operator released it, or another instance closed it.
        case database
    }
}
