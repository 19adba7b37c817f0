internal import Kafka
internal import Postgres
internal import StreamCore

extension RunnerState {
    struct Settings: Sendable {
        /// Maximum number of batches that are taken and not yet written, including the one being written.
        var queueDepth = 2
        /// Time after which partitions are paused if the queue stays full, so that polling can continue.
        var stallAfter = Duration.seconds(1)
        var tick = Duration.milliseconds(250)
        var copyInterval = Duration.seconds(1)
        var backoffInitial = Duration.milliseconds(50)
        var backoffCeiling = Duration.seconds(10)
        /// Maximum delay after an error of Kafka. It is short, because nothing polls during the delay.
        var intakeBackoffCeiling = Duration.seconds(1)
        /// Maximum delay between two questions to Kafka about a doubtful partition.
        var examineBackoffCeiling = Duration.seconds(5)
        var pruneInterval = Duration.seconds(900)
        var drainTimeout = Duration.seconds(20)
        /// Number of consecutive attempts that fail with a usually temporary error, after which one of the batch's
        /// events may be the cause.
        var patience = 6
        /// Number of consecutive attempts with an error that concerns everything, after which the run ends with that
        /// error.
        var everythingFailureLimit = 5
        var continuesAfterTruncation = false
        /// Whether events that can never be applied become dead letters. Otherwise they stop their partitions.
        var parks = false
        /// The retry topic. It always continues after truncation, because missing retries are sent again.
        var retryTopic: String?
        var probeInitial = Duration.seconds(1)
        var probeCeiling = Duration.seconds(30)
        var countInterval = Duration.seconds(60)
        /// Time between two looks at the session with the database, so that a runner without records to write notices
        /// its end, too.
        var sessionCheckInterval = Duration.seconds(1)
        /// Time between two comparisons of what is known with the database, if the session does not end.
        var reviewInterval = Duration.seconds(30)

        func continuesAfterTruncation(_ partition: TopicPartition) -> Bool {
            continuesAfterTruncation || partition.topic == retryTopic
        }
    }

    enum Timer: Sendable, Equatable {
        case tick
        /// The time limit of a shutdown.
        case drain
        case database(Int)
        case intake
        /// The next question about a doubtful partition.
        case examine(TopicPartition)
        /// The next trial of a partition whose circuit breaker is open.
        case trial(TopicPartition, Int)
        /// The next attempt to write a letter that Kafka did not accept.
        case letters
    }

    enum Input: Sendable {
        case started
        case stopRequested
        case timer(Timer)
        case intakeEnded(IntakeReport)
        /// The offsets, the marks of partitions that have one, and the kinds of failures for which circuit breakers are
        /// open.
        case offsetsLoaded(
            [TopicPartition: Int64], marks: [TopicPartition: RecordMark] = [:],
            open: [TopicPartition: [FailureCounts.Kind]] = [:])
        /// Kafka's answers about a doubtful partition.
        case examined(TopicPartition, Result<PartitionFindings, KafkaError>)
        /// Offsets were moved to where Kafka's records begin, or another process had moved them.
        case rewound
        case written(WriteOutcome)
        /// The session is still open, as far as its socket shows.
        case sessionIsOpen
        /// The session ended. There is a new one, and nothing was done in it.
        case sessionReplaced
        /// The stored offsets, and the kinds of failures for which circuit breakers are open.
        case reviewed([TopicPartition: Int64], open: [TopicPartition: [FailureCounts.Kind]] = [:])
        case settled(SettleOutcome, open: [TopicPartition: [FailureCounts.Kind]] = [:])
        case pruned
        case counted
        /// Why the tried event cannot be applied; nil if it can.
        case probed(EventFailure?)
        /// The result of a partition's trial.
        case tried(TrialOutcome)
        /// Why Kafka still does not accept the failed letter; nil if it does.
        case letterTried(LetterError?)
        /// The work of the database failed. Nothing was committed.
        case databaseFailed(DatabaseFailure)
    }

    enum Action: Sendable {
        case intake(IntakeOrder)
        /// End the current poll, because there are commands for the consumer.
        case wakeIntake
        case loadOffsets([TopicPartition])
        /// Ask Kafka about a doubtful partition.
        case examine(TopicPartition, PartitionDoubt)
        /// Move offsets to where Kafka's records begin.
        case rewind([OffsetMove])
        case write(WriteOrder)
        case settle([OffsetMove])
        case checkSession
        /// Read again what is known of these partitions.
        case review([TopicPartition])
        /// Drop the partitions of `processed_events` that are past their retention.
        case prune
        /// Count the parked rows and the blocked keys.
        case count
        /// Try one event and roll it back.
        case probe(ProbeOrder)
        /// Try one event of a partition whose circuit breaker is open. If it can be applied, its counts end.
        case tryBreaker(TrialOrder)
        /// Send the failed letter again, in parallel to the database's work.
        case tryLetter
        case sleep(Timer, Duration)
        /// The batch is finished. Its events can be freed.
        case discard(BatchID)
        case report(RunnerNote)
        /// Leave the group after copying these offsets, at the end of a successful run.
        case finish([TopicPartition: Int64])
        case fail(ProjectionError)
    }

    enum DatabaseActivity: Sendable, Equatable {
        case idle
        case loading([TopicPartition])
        case rewinding
        case writing(WriteOrder)
        case settling
        case checkingSession
        case reviewing
        case pruning
        case counting
        case probing
        case trying(TrialOrder)
        /// Waits for this timer after a failure.
        case waiting(Int)

        var isAtRest: Bool {
            switch self {
            case .idle, .waiting: true
            case .loading, .rewinding, .writing, .settling, .checkingSession, .reviewing, .pruning, .counting,
                .probing, .trying:
                false
            }
        }
    }

    struct QueuedBatch: Sendable {
        let id: BatchID
        var plan: BatchSplitter
        /// How to apply the next slice, which has just failed as a whole.
        var secondTry: Application?
        /// Parts that have nothing to try, although their circuit breakers are open.
        var triedParts: Set<Int> = []
    }
}

/// The state of an assigned partition.
struct PartitionState: Sendable, Equatable {
    enum Phase: Sendable, Equatable {
        /// Its offset must be read from PostgreSQL.
        case unknown
        /// Its position is in doubt, and Kafka must be asked.
        case doubtful
        /// Kafka is being asked, or will be asked again after a delay.
        case examining
        /// Kafka's records begin at this offset, and the stored offset must be moved there.
        case rewinding(to: Int64)
        /// The offset is being read from PostgreSQL.
        case loading
        /// The consumer must be started at the offset.
        case starting
        /// Records are being taken.
        case active
        /// It stops at a failed event as soon as the earlier events are written.
        case ending
        /// No records are taken for now, because its circuit breaker is open or letters cannot be written.
        case held
        case stopped
        /// It is to be given up.
        case revoked
    }

    var phase = Phase.unknown
    /// Whether the consumer has the partition. It must then be moved instead of assigned.
    var isWithConsumer = false
    /// The next offset in PostgreSQL, as far as is known. The next transaction expects it.
    var committed: Int64 = 0
    /// The next offset to take from Kafka.
    var position: Int64 = 0
    /// The record that must be read first, until it was read.
    var mark: RecordMark?
    /// The end of the partition when it was last read to the end.
    var end: Int64?
    /// Why it cannot simply continue at its offset, and Kafka's answers.
    var doubt: PartitionDoubt?
    var findings: PartitionFindings?
    private var copied: Int64 = -1

    /// Whether its offset is known and it is not being started or revoked.
    var isRead: Bool {
        switch phase {
        case .active, .ending, .held, .stopped, .doubtful, .examining: true
        case .unknown, .loading, .rewinding, .starting, .revoked: false
        }
    }

    /// Whether all records in Kafka were taken.
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

/// Identifies a batch, whose events are stored outside of the state machine.
struct BatchID: Hashable, Sendable {
    let number: Int
}

/// The offset of a partition before and after a transaction.
struct OffsetMove: Sendable, Equatable {
    let partition: TopicPartition
    let expected: Int64
    let next: Int64
    /// The mark of the last record before `next`. nil keeps the stored mark, or deletes it if the offset goes back.
    var mark: RecordMark?
}

struct WriteOrder: Sendable, Equatable {
    let batch: BatchID
    let slice: BatchSlice
    let moves: [OffsetMove]
    var application = Application.together
    /// Whether the slice has just failed as a whole and was not made smaller.
    var isSecondTry = false
    /// Whether Kafka accepts letters, as far as is known.
    var mayWriteLetters = true
}

enum WriteOutcome: Sendable {
    /// Committed, with the changes of failure counts and the approximate distance between failing events; nil if none
    /// failed or none was searched for.
    case committed([TopicPartition: BreakerNews] = [:], failureDistance: Int? = nil)
    /// An offset did not have the expected value, because another owner moved it.
    case fenced
    /// The connection was lost during COMMIT.
    case unknown(DatabaseFailure)
    /// One of the events may be the cause. Nothing was committed.
    case failed(WriteFault)
    /// This event cannot be decoded, which was found before the transaction.
    case undecodable(ItemFailure, item: Int)
    /// Each of these events can never be applied. Nothing was committed.
    case failing([Int: ItemFailure])
    /// Each of these events fails with an error that a single event rarely causes, and no other event could be applied
    /// in the same transaction. Nothing was committed.
    case unproven([Int: ItemFailure], DatabaseFailure)
    /// Parts of the batch must end before these items, because circuit breakers open there. Nothing was committed.
    case tooLong([Int: Int])
    /// Parts of the batch must end before these items, because they need letters that cannot be written. Nothing was
    /// committed. The error is nil if no letter was sent.
    case lettersMissing([Int: Int], LetterError?)
    /// The server cancelled a statement after its time limit. Nothing was committed.
    case tooSlow(DatabaseFailure)
}

enum SettleOutcome: Sendable, Equatable {
    case committed
    case notCommitted
    /// Neither: another process moved the offsets.
    case fenced
}

/// Why the work of the database failed, if no event is the cause.
struct DatabaseFailure: Sendable {
    let kind: FailureKind
    let underlying: any Error

    /// Whether the server refused a statement for a reason that one of the events may have caused.
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
    /// Partitions that the consumer has, which continue at another offset.
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
    /// The id of the batch, if the round returns one.
    let batch: BatchID
    let commands: [ConsumerCommand]
    /// Whether to poll. It is false during a shutdown, when only commands are left.
    let polls: Bool
    /// The partitions whose records are taken, with the first offset of each. Records with lower offsets are ignored.
    let positions: [TopicPartition: Int64]
    /// The records that some of the partitions must begin with.
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
        /// The consumer no longer fetches these partitions, because Kafka does not have their positions.
        case outOfRange([TopicPartition])
    }

    /// Partitions that the consumer now fetches.
    var started: [TopicPartition] = []
    /// Partitions that the consumer could not start.
    var notStarted: [TopicPartition] = []
    /// The results of looking for the marked records of partitions.
    var continuity: [TopicPartition: Continuity] = [:]
    /// The end offsets of the partitions that were read to the end.
    var ends: [TopicPartition: Int64] = [:]
    var polled = Polled.nothing
    var failure: KafkaError?
}

/// Events that produce a log line and a metric.
enum RunnerNote: Sendable {
    case assigned([TopicPartition])
    case started([TopicPartition: Int64])
    case revoked([TopicPartition])
    case lost([TopicPartition])
    case stopped(StoppedPartition)
    /// A partition continues where Kafka's records begin.
    case rewound(StoppedPartition, to: Int64)
    /// The marked record was deleted by retention or compaction.
    case unverified(TopicPartition, next: Int64, mark: RecordMark)
    case examinationFailed(TopicPartition, KafkaError)
    case fenced([TopicPartition])
    /// The database has lost committed transactions. Partitions continue at the offsets that it still has.
    case wentBack([TopicPartition: (from: Int64, to: Int64)])
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
