internal import StreamCore

/// What a running projection does next, as a pure function of what happened: it holds no client, reads no clock and
/// never waits. ``RunnerLoop`` carries its actions out and hands it what came of them.
///
/// There are two workers, each with at most one thing under way, so that their order is the order of the actions: the
/// *intake* (commands to the consumer, then one poll) and the *database* (reading offsets, or one transaction). While
/// the database works on a batch, the intake takes and decodes the next; a batch that waits stops the intake.
struct RunnerState: Sendable {
    let settings: Settings
    var partitions: [TopicPartition: PartitionState] = [:]
    /// Batches taken, in order; the first is the one being written.
    var queue: [QueuedBatch] = []
    /// Revoked partitions that are to be given up together, as soon as no transaction of theirs is under way.
    var revocations: [[TopicPartition]] = []

    var database = DatabaseActivity.idle
    /// The outcome of this transaction is unknown; it is looked up before anything else is written.
    var unsettled: WriteOrder?
    var backoff: Backoff
    var everythingFailures = 0
    /// Attempts in a row at which the batch failed with an error that one of its events may cause.
    var doubtfulFailures = 0
    /// Events of the first batch that fail alone, for which another event is now tried: when that one can be applied,
    /// it is they who are to blame.
    var unproven: (failures: [Int: ItemFailure], cause: DatabaseFailure)?
    /// As of the last transaction: where events fail, there are often more, and what a try does before it fails is in
    /// vain.
    var failureDistance: Int?
    /// The open circuit breakers.
    var breakers: [TopicPartition: CircuitBreaker] = [:]
    var letterOutage: LetterOutage

    var isIntakeUnderWay = false
    /// The intake waits for a timer after a Kafka failure.
    var isIntakeWaiting = false
    var intakeBackoff: Backoff
    /// What to tell the consumer before the next poll.
    var commands: [ConsumerCommand] = []
    /// When Kafka is asked again about partitions that were in doubt, until they go on.
    var examineBackoffs: [TopicPartition: Backoff] = [:]
    /// Partitions that the consumer was told to pause.
    var paused: Set<TopicPartition> = []

    /// Since then the intake waits for the database; nil while it does not.
    var queueFullSince: ContinuousClock.Instant?

    var isStopping = false
    var isFinished = false
    private var lastNumber = 0
    private var notes: [RunnerNote] = []
    var isPruneDue = false
    var isCountDue = false
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

    /// Takes in what happened.
    ///
    /// - Returns: what to do now, in this order.
    mutating func handle(_ input: Input, now: ContinuousClock.Instant) -> [Action] {
        guard !isFinished else { return [] }
        var actions: [Action] = []
        switch input {
        case .started:
            lastPrune = now
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
        case .pruned, .counted: database = .idle
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

    /// A number not given before, for timers and batches.
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

    /// Kafka gets a copy of the offsets now and then, for lag tools. Nothing reads it back.
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

    /// Gives the idle workers something to do.
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
