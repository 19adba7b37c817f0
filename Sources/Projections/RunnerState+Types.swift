internal import Kafka
internal import Postgres
internal import StreamCore

extension RunnerState {
    struct Settings: Sendable {
        /// Batches taken and not yet written, the one being written included.
        var queueDepth = 2
        /// How long the queue may be full before partitions are paused so that polling can go on.
        var stallAfter = Duration.seconds(1)
        var tick = Duration.milliseconds(250)
        var copyInterval = Duration.seconds(1)
        var backoffInitial = Duration.milliseconds(50)
        var backoffCeiling = Duration.seconds(10)
        /// Short, since nobody polls meanwhile.
        var intakeBackoffCeiling = Duration.seconds(1)
        /// Between two questions to Kafka about a partition that is in doubt.
        var examineBackoffCeiling = Duration.seconds(5)
        var pruneInterval = Duration.seconds(900)
        var drainTimeout = Duration.seconds(20)
        /// Attempts in a row at which a batch failed with an error that passes as a rule, before it is held possible
        /// that one of its events is to blame.
        var patience = 6
        /// Attempts in a row at which everything failed, before the run ends with that error.
        var everythingFailureLimit = 5
        var continuesAfterTruncation = false
        /// Events that can never be applied become dead letters, and do not stop their partitions.
        var parks = false
        /// A topic that goes on after truncation in any case: what it lacks is sent again.
        var retryTopic: String?
        var probeInitial = Duration.seconds(1)
        var probeCeiling = Duration.seconds(30)
        var countInterval = Duration.seconds(60)

        func continuesAfterTruncation(_ partition: TopicPartition) -> Bool {
            continuesAfterTruncation || partition.topic == retryTopic
        }
    }

    enum Timer: Sendable, Equatable {
        case tick
        /// The end of the time that a stop may take.
        case drain
        case database(Int)
        case intake
        /// The next look at a partition that is in doubt.
        case examine(TopicPartition)
        /// The next trial of a partition whose circuit breaker is open.
        case trial(TopicPartition, Int)
        /// The next try to write a letter that Kafka did not take.
        case letters
    }

    enum Input: Sendable {
        case started
        case stopRequested
        case timer(Timer)
        case intakeEnded(IntakeReport)
        /// The marks are those of partitions that have one, `open` is what circuit breakers are open for.
        case offsetsLoaded(
            [TopicPartition: Int64], marks: [TopicPartition: RecordMark] = [:],
            open: [TopicPartition: [FailureCounts.Kind]] = [:])
        /// What Kafka says of a partition that is in doubt.
        case examined(TopicPartition, Result<PartitionFindings, KafkaError>)
        /// Offsets were moved elsewhere, or somebody else had moved them.
        case rewound
        case written(WriteOutcome)
        case settled(SettleOutcome, open: [TopicPartition: [FailureCounts.Kind]] = [:])
        case pruned
        case counted
        /// Why the event that was tried cannot be applied; nil when it can.
        case probed(EventFailure?)
        /// What came of a partition's trial.
        case tried(TrialOutcome)
        /// Why Kafka still does not take the letter that failed; nil when it does.
        case letterTried(LetterError?)
        /// The database's work failed; nothing of it was committed.
        case databaseFailed(DatabaseFailure)
    }

    enum Action: Sendable {
        case intake(IntakeOrder)
        /// End the poll that waits: there are commands for the consumer.
        case wakeIntake
        case loadOffsets([TopicPartition])
        /// Ask Kafka about a partition.
        case examine(TopicPartition, PartitionDoubt)
        /// Move offsets to where Kafka's records begin.
        case rewind([OffsetMove])
        case write(WriteOrder)
        case settle([OffsetMove])
        /// Drop the partitions of `processed_events` that are past their retention.
        case prune
        /// Count what is parked.
        case count
        /// Try one event, and take it back.
        case probe(ProbeOrder)
        /// Try one event of a partition whose circuit breaker is open; when it can be applied, its count ends.
        case tryBreaker(TrialOrder)
        /// Send the letter that failed again, beside the database's work.
        case tryLetter
        case sleep(Timer, Duration)
        /// The batch is done with; its events may be freed.
        case discard(BatchID)
        case report(RunnerNote)
        /// Leave the group after copying these offsets; the end of a good run.
        case finish([TopicPartition: Int64])
        case fail(ProjectionError)
    }

    enum DatabaseActivity: Sendable, Equatable {
        case idle
        case loading([TopicPartition])
        case rewinding
        case writing(WriteOrder)
        case settling
        case pruning
        case counting
        case probing
        case trying(TrialOrder)
        /// Backing off until this timer.
        case waiting(Int)

        var isAtRest: Bool {
            switch self {
            case .idle, .waiting: true
            case .loading, .rewinding, .writing, .settling, .pruning, .counting, .probing, .trying: false
            }
        }
    }

    struct QueuedBatch: Sendable {
        let id: BatchID
        var plan: BatchSplitter
        /// How to try the next slice again, which has just failed as a whole.
        var secondTry: Application?
        /// Parts in which nothing is to be tried, though their circuit breakers are open.
        var triedParts: Set<Int> = []
    }
}

/// One assigned partition.
struct PartitionState: Sendable, Equatable {
    enum Phase: Sendable, Equatable {
        /// Its offset must be read from PostgreSQL.
        case unknown
        /// It is in doubt, and Kafka is to be asked about it.
        case doubtful
        /// Kafka is being asked, or is asked again after a while.
        case examining
        /// Kafka's records begin elsewhere, and the offset is to be moved there.
        case rewinding(to: Int64)
        /// The offset is being read.
        case loading
        /// The consumer is to be started at the offset read.
        case starting
        /// Records are taken.
        case active
        /// A failed event ends it as soon as the events before it are written.
        case ending
        /// Nothing is taken for a while: its circuit breaker is open, or letters cannot be written.
        case held
        case stopped
        /// It is to be given up.
        case revoked
    }

    var phase = Phase.unknown
    /// The consumer has it: another start must take it away first.
    var isWithConsumer = false
    /// What PostgreSQL has as its next offset, as far as is known here; the expectation of the next transaction.
    var committed: Int64 = 0
    /// The next offset to take from Kafka.
    var position: Int64 = 0
    /// The record that must come first, until it came.
    var mark: RecordMark?
    /// Where the partition ended when it was last read to its end.
    var end: Int64?
    /// Why it cannot simply go on from its offset, and what Kafka says of that.
    var doubt: PartitionDoubt?
    var findings: PartitionFindings?
    private var copied: Int64 = -1

    /// Its offset is known and nothing of it is about to change hands.
    var isRead: Bool {
        switch phase {
        case .active, .ending, .held, .stopped, .doubtful, .examining: true
        case .unknown, .loading, .rewinding, .starting, .revoked: false
        }
    }

    /// All that Kafka has of it was taken.
    var isAtEnd: Bool { end == position }

    mutating func loaded(_ next: Int64) {
        committed = next
        position = next
        end = nil
        mark = nil
        doubt = nil
        findings = nil
    }

    mutating func takeUncopied() -> Int64? {
        guard committed != copied, isRead || phase == .revoked
        else { return nil }
        copied = committed
        return committed
    }
}

/// Names a batch whose events are kept outside of the state machine.
struct BatchID: Hashable, Sendable {
    let number: Int
}

/// A partition's offset before and after a transaction.
struct OffsetMove: Sendable, Equatable {
    let partition: TopicPartition
    let expected: Int64
    let next: Int64
    /// The last record that is passed then; nil to keep what is stored, and to forget it when the offset goes back.
    var mark: RecordMark?
}

struct WriteOrder: Sendable, Equatable {
    let batch: BatchID
    let slice: BatchSlice
    let moves: [OffsetMove]
    var application = Application.together
    /// The slice has just failed as a whole, and was not made smaller.
    var isSecondTry = false
    /// Kafka takes letters, as far as is known.
    var mayWriteLetters = true
}

enum WriteOutcome: Sendable {
    /// With what was counted for circuit breakers, and about how far events that fail are from each other; nil when
    /// none did, or nobody looked.
    case committed([TopicPartition: BreakerNews] = [:], failureDistance: Int? = nil)
    /// An offset was not what it was expected to be: another owner is alive, or was.
    case fenced
    /// The connection was lost in COMMIT.
    case unknown(DatabaseFailure)
    /// One of the events may be to blame; nothing was committed.
    case failed(WriteFault)
    /// This event cannot be decoded, which was found out before the transaction.
    case undecodable(ItemFailure, item: Int)
    /// These events can never be applied, each by itself; nothing was committed.
    case failing([Int: ItemFailure])
    /// These events fail, each by itself, with an error that is seldom an event's, and no other was tried with
    /// success; nothing was committed.
    case unproven([Int: ItemFailure], DatabaseFailure)
    /// Parts of the batch must end before these items, as circuit breakers open there; nothing was committed.
    case tooLong([Int: Int])
    /// Parts of the batch must end before these items, as those need letters that cannot be written; nothing was
    /// committed. Without an error when none was sent.
    case lettersMissing([Int: Int], LetterError?)
    /// The server gave up after its time limit; nothing was committed.
    case tooSlow(DatabaseFailure)
}

enum SettleOutcome: Sendable, Equatable {
    case committed
    case notCommitted
    /// Neither: somebody else moved the offsets.
    case fenced
}

/// Why the database's work failed, when no event is to blame.
struct DatabaseFailure: Sendable {
    let kind: FailureKind
    let underlying: any Error

    /// The server refused a statement for a reason that may lie in one of the events.
    var mayConcernOneEvent: Bool {
        (underlying as? PostgresError)?.mayConcernOneRow ?? false
    }
}

enum ConsumerCommand: Sendable, Equatable {
    /// Fetch from these offsets.
    case start(StartCommand)
    case giveUp([TopicPartition])
    case pause([TopicPartition])
    case resume([TopicPartition])
    case copyOffsets([TopicPartition: Int64])

    var isStart: Bool {
        if case .start = self { true } else { false }
    }
}

struct StartCommand: Sendable, Equatable {
    /// Partitions that the consumer does not have yet.
    var new: [TopicPartition: Int64] = [:]
    /// Partitions that it has, at another offset.
    var moved: [TopicPartition: Int64] = [:]

    mutating func add(_ partition: TopicPartition, at offset: Int64, isMoved: Bool) {
        if isMoved { moved[partition] = offset } else { new[partition] = offset }
    }

    mutating func remove(_ partition: TopicPartition) {
        new[partition] = nil
        moved[partition] = nil
    }
}

struct IntakeOrder: Sendable, Equatable {
    /// The name of the batch, if there comes one.
    let batch: BatchID
    let commands: [ConsumerCommand]
    /// False when the run is stopping: the commands are all that is left to do.
    let polls: Bool
    /// The partitions whose records are taken, with the offsets that they are taken from; lower ones are old.
    let positions: [TopicPartition: Int64]
    /// The records that some of them must begin with.
    var marks: [TopicPartition: RecordMark] = [:]
}

struct IntakeReport: Sendable {
    let batch: BatchID

    enum Polled: Sendable {
        case nothing
        case batch(BatchLayout)
        case assigned([TopicPartition])
        case revoked([TopicPartition])
        case lost([TopicPartition])
        /// The consumer fetches from a partition no longer, since Kafka does not have its position.
        case outOfRange([TopicPartition])
    }

    /// Partitions that the consumer fetches from now.
    var started: [TopicPartition] = []
    /// Partitions that it did not take.
    var notStarted: [TopicPartition] = []
    /// What came in the place of the records that partitions must begin with.
    var continuity: [TopicPartition: Continuity] = [:]
    /// Where partitions end that were read to their ends.
    var ends: [TopicPartition: Int64] = [:]
    var polled = Polled.nothing
    var failure: KafkaError?
}

/// What is worth a log line and a metric.
enum RunnerNote: Sendable {
    case assigned([TopicPartition])
    case started([TopicPartition: Int64])
    case revoked([TopicPartition])
    case lost([TopicPartition])
    case stopped(StoppedPartition)
    /// A partition goes on from where Kafka's records begin.
    case rewound(StoppedPartition, to: Int64)
    /// The marked record is gone in an ordinary way.
    case unverified(TopicPartition, next: Int64, mark: RecordMark)
    case examinationFailed(TopicPartition, KafkaError)
    case fenced([TopicPartition])
    case split(error: EventFailure)
    case breaker(TopicPartition, BreakerNote)
    case trialFailed(TopicPartition, EventFailure)
    case lettersFailing(LetterError)
    case cannotPark(TopicPartition)
    case canPark(TopicPartition)
    case databaseFailing(DatabaseFailure, attempt: Int)
    case databaseRecovered
    case settled(SettleOutcome)
    case kafkaFailing(KafkaError)
    case stalled(Bool)
}
