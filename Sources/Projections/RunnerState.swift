internal import StreamCore

/// Decides what a running projection does next, as a pure function of what happened. It holds no client, reads no clock
/// and never waits. ``RunnerLoop`` executes its actions and passes the results to it.
///
/// There are two workers. The *intake* executes commands of the consumer and then polls once. The *database* reads
/// offsets or runs one transaction. Each does at most one thing at a time, in the order of the actions. While the
/// database writes a batch, the intake takes and decodes the next one. A batch that waits stops the intake.
struct RunnerState: Sendable {
    let settings: Settings
    var partitions: [TopicPartition: PartitionState] = [:]
    /// The batches that were taken, in order. The first one is being written.
    var queue: [QueuedBatch] = []
    /// Revoked partitions. Each group is given up together, as soon as no transaction of its partitions is in progress.
    var revocations: [[TopicPartition]] = []

    var database = DatabaseActivity.idle
    /// The transaction whose outcome is unknown. It is looked up before anything else is written.
    var unsettled: WriteOrder?
    var backoff: Backoff
    var everythingFailures = 0
    /// Number of consecutive attempts that failed with an error that one of the batch's events may cause.
    var doubtfulFailures = 0
    /// Events of the first batch that fail alone, while another event is tried. If that one can be applied, these
    /// events are the cause.
    var unproven: (failures: [Int: ItemFailure], cause: DatabaseFailure)?
    /// The approximate distance between failing events in the last transaction. Failing events often occur together,
    /// and the work of an attempt before a failure is lost.
    var failureDistance: Int?
    /// The open circuit breakers.
    var breakers: [TopicPartition: CircuitBreaker] = [:]
    var letterOutage: LetterOutage

    var isIntakeUnderWay = false
    /// Whether the intake waits for a timer after an error of Kafka.
    var isIntakeWaiting = false
    var intakeBackoff: Backoff
    /// The commands for the consumer before the next poll.
    var commands: [ConsumerCommand] = []
    /// The delays between questions to Kafka about partitions that were in doubt, until they continue.
    var examineBackoffs: [TopicPartition: Backoff] = [:]
    /// Partitions that the consumer has paused for the database.
    var paused: Set<TopicPartition> = []

    /// The time since which the intake waits for the database; nil while it does not.
    var queueFullSince: ContinuousClock.Instant?

    var isStopping = false
    var isFinished = false
    private var lastNumber = 0
    private var notes: [RunnerNote] = []
    var isPruneDue = false
    var isCountDue = false
    var isSessionCheckDue = false
    var isReviewDue = false
    private var lastSessionCheck: ContinuousClock.Instant?
    private var lastReview: ContinuousClock.Instant?
    private var lastPrune: ContinuousClock.Instant?
    private var lastCount: ContinuousClock.Instant?
    private var lastCopy: ContinuousClock.Instant?

    init(settings: Settings) {
        self.settings = settings
        backoff = Backoff(initial: settings.backoffInitial, ceiling: settings.backoffCeiling)
        intakeBackoff = Backoff(initial: settings.backoffInitial, ceiling: settings.intakeBackoffCeiling)
        letterOutage = LetterOutage(
            backoff: Backoff(initial: settings.probeInitial, ceiling: settings.probeCeiling))
    }

    /// Handles what happened.
    ///
    /// - Returns: the actions to execute now, in this order.
    mutating func handle(_ input: Input, now: ContinuousClock.Instant) -> [Action] {
        guard !isFinished else { return [] }
        var actions: [Action] = []
        switch input {
        case .started:
            lastPrune = now
            lastSessionCheck = now
            lastReview = now
            actions.append(.sleep(.tick, settings.tick))
        case .stopRequested:
            if !isStopping { actions.append(.sleep(.drain, settings.drainTimeout)) }
            isStopping = true
        case .timer(let timer): actions += timerFired(timer, now: now)
        case .intakeEnded(let report): actions += intakeEnded(report)
        case .offsetsLoaded(let offsets, let marks, let open): offsetsLoaded(offsets, marks, open)
        case .examined(let partition, let result): examined(partition, result)
        case .rewound: rewound()
        case .written(let outcome): actions += written(outcome)
        case .settled(let outcome, let open): actions += settled(outcome, open)
        case .pruned, .counted, .sessionIsOpen: database = .idle
        case .sessionReplaced: sessionReplaced()
        case .reviewed(let offsets, let open): actions += reviewed(offsets, open)
        case .probed(let failure): actions += probed(failure)
        case .tried(let outcome): actions += tried(outcome)
        case .letterTried(let error): actions += letterTried(error)
        case .databaseFailed(let failure): actions += databaseFailed(failure)
        }
        if !isFinished { actions += advance(now: now) }
        actions += notes.map(Action.report)
        notes = []
        return actions
    }

    mutating func note(_ note: RunnerNote) {
        notes.append(note)
    }

    /// A unique number for timers and batches.
    mutating func nextNumber() -> Int {
        lastNumber += 1
        return lastNumber
    }

    private mutating func timerFired(_ timer: Timer, now: ContinuousClock.Instant) -> [Action] {
        switch timer {
        case .tick:
            copyOffsets(now: now)
            if let lastPrune, now - lastPrune >= settings.pruneInterval {
                self.lastPrune = now
                isPruneDue = true
            }
            if settings.parks, lastCount.map({ now - $0 >= settings.countInterval }) ?? true {
                lastCount = now
                isCountDue = true
            }
            if let lastSessionCheck, now - lastSessionCheck >= settings.sessionCheckInterval {
                self.lastSessionCheck = now
                isSessionCheckDue = true
            }
            if let lastReview, now - lastReview >= settings.reviewInterval {
                self.lastReview = now
                isReviewDue = true
            }
            return [.sleep(.tick, settings.tick)]
        case .drain:
            return fail(.drainTimedOut)
        case .database(let number):
            if case .waiting(number) = database { database = .idle }
        case .intake:
            isIntakeWaiting = false
        case .examine(let partition):
            return examine(partition)
        case .trial(let partition, let number):
            trialDue(partition, number)
        case .letters:
            return isStopping ? [] : [.tryLetter]
        }
        return []
    }

    /// Copies the offsets to Kafka from time to time, for lag tools. Nothing reads the copy back.
    private mutating func copyOffsets(now: ContinuousClock.Instant) {
        if let lastCopy, now - lastCopy < settings.copyInterval { return }
        lastCopy = now
        let moved = takeUncopied(partitions.keys)
        if !moved.isEmpty { commands.append(.copyOffsets(moved)) }
    }

    mutating func takeUncopied(_ candidates: some Sequence<TopicPartition>) -> [TopicPartition: Int64] {
        var moved: [TopicPartition: Int64] = [:]
        for partition in candidates {
            guard let committed = partitions[partition]?.takeUncopied() else { continue }
            moved[partition] = committed
        }
        return moved
    }

    /// Starts work on the idle workers.
    private mutating func advance(now: ContinuousClock.Instant) -> [Action] {
        var actions: [Action] = []
        answerRevocations()
        if isStopping, case .waiting = database { actions += dropQueue() }
        if case .idle = database { actions += advanceDatabase() }
        if !isStopping { actions += examineDoubtful() }
        if isIntakeUnderWay {
            if !commands.isEmpty || isStopping { actions.append(.wakeIntake) }
        } else if !isIntakeWaiting {
            if let order = nextIntake(now: now) {
                isIntakeUnderWay = true
                actions.append(.intake(order))
            }
        }
        if isStopping && !isIntakeUnderWay && (commands.isEmpty || isIntakeWaiting), queue.isEmpty, database.isAtRest {
            isFinished = true
            actions.append(.finish(takeUncopied(partitions.keys)))
        }
        return actions
    }

    /// Ends the run with an error.
    mutating func fail(_ error: ProjectionError) -> [Action] {
        isFinished = true
        return [.fail(error)]
    }
}
