internal import Kafka
internal import StreamCore

/// The shell around ``RunnerState``. It starts the actions of the state machine as child tasks, and passes their
/// results to it, one at a time.
struct RunnerLoop<P: Projection> {
    private let intake: Intake<P>
    private let writer: BatchWriter<P>
    private let onCommit: @Sendable () -> Void
    private var state: RunnerState
    private var telemetry: ProjectionTelemetry
    /// The events of the batches in the state machine.
    private var batches: [BatchID: PreparedBatch<P.Event>] = [:]
    /// The letter that Kafka did not accept.
    private var undelivered: UndeliveredLetter?
    private var ending: Ending?
    private var lastStanding: ContinuousClock.Instant?
    /// The points at the last tick: of `decode`, and of `apply`.
    private var lastPoints: [HandlerPlace.Point?] = []
    /// The time of the next question for log starts; nil while a question is not answered.
    private var nextLogStarts: ContinuousClock.Instant? = .now + Self.logStartInterval

    private enum Ending {
        case finished([TopicPartition: Int64])
        case failed(ProjectionError)
    }

    private enum Completion: Sendable {
        case input(RunnerState.Input)
        case intake(Intake<P>.Round)
        case written(WriteOrder, RunnerState.Input, BatchWriter<P>.Committed)
        case pruned(RunnerState.Input, Int)
        case counted(RunnerState.Input, rows: Int64, keys: Int64)
        case logStarts([TopicPartition: Int64])
    }

    /// Time between two questions for the oldest offsets of partitions, which are only used for a metric.
    private static var logStartInterval: Duration { .seconds(30) }

    init(
        intake: Intake<P>, writer: BatchWriter<P>, settings: RunnerState.Settings, telemetry: ProjectionTelemetry,
        onCommit: @escaping @Sendable () -> Void
    ) {
        self.onCommit = onCommit
        self.intake = intake
        self.writer = writer
        self.telemetry = telemetry
        state = RunnerState(settings: settings)
    }

    /// Runs until `stop` yields or an error is permanent.
    mutating func run(until stop: AsyncStream<Void>) async throws(ProjectionError) {
        await withTaskGroup(of: Completion.self) { group in
            group.addTask {
                // The stream ends without a value only together with the run, and then no result is needed.
                for await _ in stop { break }
                return .input(.stopRequested)
            }
            await handle(.started, in: &group)
            while ending == nil, let completion = await group.next() {
                guard let input = input(from: completion) else { continue }
                await handle(input, in: &group)
                askLogStarts(in: &group)
            }
            intake.consumer.wake()
            group.cancelAll()
        }
        if case .failed(let error) = ending { throw error }
    }

    /// The offsets that the consumer should copy to Kafka at the end of a successful run.
    var uncopiedOffsets: [TopicPartition: Int64] {
        if case .finished(let offsets) = ending { offsets } else { [:] }
    }

    /// - Returns: nil for results that the state machine does not need.
    private mutating func input(from completion: Completion) -> RunnerState.Input? {
        switch completion {
        case .input(let input):
            if case .timer(.tick) = input { turned() }
            return input
        case .intake(let round):
            if let batch = round.batch {
                batches[round.report.batch] = batch
                telemetry.taken(batch.layout.parts, skipped: batch.skipped)
            }
            return .intakeEnded(round.report)
        case .written(let order, let input, let committed):
            if case .written(.committed) = input {
                onCommit()
                telemetry.committed(
                    order, applied: committed.types, duplicates: committed.duplicates, took: committed.duration)
                telemetry.observed(committed.sequences)
                telemetry.parked(committed.parking.counts)
            }
            if let letter = committed.undelivered { undelivered = letter }
            return input
        case .pruned(let input, let count):
            telemetry.pruned(count)
            return input
        case .counted(let input, let rows, let keys):
            telemetry.counted(rows: rows, keys: keys)
            return input
        case .logStarts(let starts):
            telemetry.logsBegin(at: starts)
            nextLogStarts = .now + Self.logStartInterval
            return nil
        }
    }

    /// Asks Kafka for the oldest offsets of the partitions, in parallel to all other work.
    private mutating func askLogStarts(in group: inout TaskGroup<Completion>) {
        guard let next = nextLogStarts, next <= .now else { return }
        let partitions = state.partitions.filter(\.value.isRead).map(\.key)
        guard !partitions.isEmpty else { return }
        // No further question is sent until this one is answered.
        nextLogStarts = nil
        group.addTask { [intake] in .logStarts(await intake.logStarts(of: partitions)) }
    }

    private mutating func handle(
        _ input: RunnerState.Input, in group: inout TaskGroup<Completion>
    ) async {
        for action in state.handle(input, now: .now) { await carryOut(action, in: &group) }
    }

    private mutating func carryOut(_ action: RunnerState.Action, in group: inout TaskGroup<Completion>) async {
        switch action {
        case .intake(let order):
            group.addTask(executorPreference: intake.consumer.taskExecutor) { [intake] in
                .intake(await intake.run(order))
            }
        case .wakeIntake:
            intake.consumer.wake()
        case .examine(let partition, let doubt):
            group.addTask { [intake] in .input(.examined(partition, await intake.examine(partition, doubt))) }
        case .rewind(let moves):
            group.addTask { [writer] in .input(await writer.rewind(moves)) }
        case .loadOffsets(let partitions):
            group.addTask { [writer] in .input(await writer.loadOffsets(partitions)) }
        case .write(let order):
            guard let batch = batches[order.batch] else { preconditionFailure("a batch was discarded too early") }
            group.addTask(executorPreference: writer.taskExecutor) { [writer] in
                let (input, committed) = await writer.write(batch, order)
                return .written(order, input, committed)
            }
        case .checkSession:
            group.addTask { [writer] in .input(await writer.checkSession()) }
        case .review(let partitions):
            group.addTask { [writer] in .input(await writer.review(partitions)) }
        case .settle(let moves):
            group.addTask { [writer] in .input(await writer.settle(moves)) }
        case .prune:
            group.addTask { [writer] in
                let (input, count) = await writer.prune()
                return .pruned(input, count)
            }
        case .count:
            group.addTask { [writer] in
                let (input, rows, keys) = await writer.countParked()
                return .counted(input, rows: rows, keys: keys)
            }
        case .probe(let order):
            guard let batch = batches[order.batch] else { preconditionFailure("a batch was discarded too early") }
            group.addTask { [writer] in .input(await writer.probe(batch, order)) }
        case .tryBreaker(let order):
            guard let batch = batches[order.batch] else { preconditionFailure("a batch was discarded too early") }
            group.addTask { [writer] in .input(await writer.tryBreaker(batch, order)) }
        case .tryLetter:
            group.addTask { [undelivered] in .input(.letterTried(await undelivered?.deliver())) }
        case .sleep(let timer, let duration):
            group.addTask {
                // The sleep is cancelled only when the run has ended, and then no result is needed.
                try? await Task.sleep(for: duration)
                return .input(.timer(timer))
            }
        case .discard(let id):
            batches[id] = nil
        case .report(let note):
            if case .revoked = note { writer.forgetSequences() }
            if case .lost = note { writer.forgetSequences() }
            telemetry.report(note)
        case .finish(let offsets):
            ending = .finished(offsets)
        case .fail(let error):
            ending = .failed(error)
        }
    }

    /// Reports that the loop makes progress, and the position of each partition once a second.
    private mutating func turned() {
        let points = [intake.decoding.point, writer.handler.point]
        // Code that hangs blocks the loop, although the loop's timer continues.
        let standsStill = zip(points, lastPoints).contains { $0 != nil && $0 == $1 }
        lastPoints = points
        if !standsStill { telemetry.loopTurned() }
        let now = ContinuousClock.now
        if let lastStanding, now - lastStanding < .seconds(1) { return }
        lastStanding = now
        for (partition, standing) in state.partitions where standing.isRead {
            // At the end of a partition, its watermark may be higher, because an open transaction follows.
            let end = standing.isAtEnd ? standing.end : intake.consumer.watermarks(partition)?.high
            telemetry.standing(partition, next: standing.committed, end: end)
        }
        telemetry.stood()
    }
}
