import Kafka
import StreamCore
import Testing

@testable import Projections

let p0 = TopicPartition(topic: "t", partition: 0)
let p1 = TopicPartition(topic: "t", partition: 1)

/// Drives a ``RunnerState`` step by step. It keeps each requested action until the test sends the result.
struct Driver {
    var state: RunnerState
    var now = ContinuousClock.now
    var intake: IntakeOrder?
    var database: RunnerState.Action?
    var examining: [TopicPartition: PartitionDoubt] = [:]
    var sleeping: [RunnerState.Timer] = []
    var discarded: [BatchID] = []
    var trialDelays: [Duration] = []
    var letterTries = 0
    var notes: [RunnerNote] = []
    var finished: [TopicPartition: Int64]?
    var failed: ProjectionError?
    /// Whether the next look at the session finds it replaced.
    var endsSession = false

    init(_ change: (inout RunnerState.Settings) -> Void = { _ in }) {
        var settings = RunnerState.Settings()
        change(&settings)
        state = RunnerState(settings: settings)
        send(.started)
    }

    mutating func send(_ input: RunnerState.Input) {
        var replies: [RunnerState.Input] = []
        defer { for reply in replies { send(reply) } }
        for action in state.handle(input, now: now) {
            switch action {
            case .intake(let order):
                #expect(intake == nil, "one intake at a time")
                intake = order
            case .wakeIntake: #expect(intake != nil)
            case .examine(let partition, let doubt): examining[partition] = doubt
            case .checkSession where endsSession:
                endsSession = false
                replies.append(.sessionReplaced)
            case .checkSession: replies.append(.sessionIsOpen)
            case .loadOffsets, .rewind, .write, .settle, .review, .prune, .count, .probe, .tryBreaker:
                #expect(database == nil, "one piece of database work at a time")
                database = action
            case .sleep(let timer, let duration):
                sleeping.append(timer)
                if case .trial = timer { trialDelays.append(duration) }
            case .tryLetter: letterTries += 1
            case .discard(let id): discarded.append(id)
            case .report(let note): notes.append(note)
            case .finish(let offsets): finished = offsets
            case .fail(let error): failed = error
            }
        }
    }

    /// Ends the running intake.
    mutating func polled(
        _ polled: IntakeReport.Polled = .nothing, _ change: (inout IntakeReport) -> Void = { _ in }
    ) throws {
        let order = try #require(intake, "no intake is under way")
        intake = nil
        var report = IntakeReport(batch: order.batch)
        report.polled = polled
        for case .start(let start) in order.commands {
            report.started += start.new.keys
            report.started += start.moved.keys
        }
        change(&report)
        send(.intakeEnded(report))
    }

    mutating func failedPoll(_ error: KafkaError) throws {
        let order = try #require(intake)
        intake = nil
        var report = IntakeReport(batch: order.batch)
        report.failure = error
        send(.intakeEnded(report))
    }

    /// Sends Kafka's answer about a partition in doubt.
    mutating func examined(
        _ partition: TopicPartition, low: Int64, high: Int64, isCompacted: Bool? = nil
    ) {
        let doubt = examining.removeValue(forKey: partition)
        #expect(doubt != nil, "nothing asks about \(partition)")
        send(.examined(partition, .success(PartitionFindings(low: low, high: high, isCompacted: isCompacted))))
    }

    mutating func database(_ input: RunnerState.Input) throws {
        let isBusy = database != nil
        try #require(isBusy, "the database has nothing to do")
        database = nil
        send(input)
    }

    mutating func fire(_ timer: (RunnerState.Timer) -> Bool) throws {
        let index = sleeping.firstIndex(where: timer)
        let fired = sleeping.remove(at: try #require(index))
        send(.timer(fired))
    }

    mutating func tick(after duration: Duration = .milliseconds(250)) throws {
        now = now + duration
        try fire { $0 == .tick }
    }

    var write: WriteOrder? {
        if case .write(let order) = database { order } else { nil }
    }

    var probe: ProbeOrder? {
        if case .probe(let order) = database { order } else { nil }
    }

    var isCounting: Bool {
        if case .count = database { true } else { false }
    }

    var trial: TrialOrder? {
        if case .tryBreaker(let order) = database { order } else { nil }
    }

    mutating func fireTrial(_ partition: TopicPartition = p0) throws {
        try fire { if case .trial(partition, _) = $0 { true } else { false } }
    }

    /// The notes about a partition's circuit breaker, in order.
    func breakerNotes(_ partition: TopicPartition) -> [BreakerNote] {
        notes.compactMap { if case .breaker(partition, let note) = $0 { note } else { nil } }
    }

    /// The notes about partitions that cannot park (`-`) or can park again (`+`), in order.
    var lettersNotes: [String] {
        notes.compactMap {
            switch $0 {
            case .cannotPark(let partition): "-\(partition.partition)"
            case .canPark(let partition): "+\(partition.partition)"
            default: nil
            }
        }
    }

    var loading: [TopicPartition]? {
        if case .loadOffsets(let partitions) = database { partitions } else { nil }
    }

    var rewinding: [OffsetMove]? {
        if case .rewind(let moves) = database { moves } else { nil }
    }

    var reviewing: [TopicPartition]? {
        if case .review(let partitions) = database { partitions } else { nil }
    }

    /// What was said to have gone back, as `from>to`.
    var wentBack: [TopicPartition: String] {
        var partitions: [TopicPartition: String] = [:]
        for case .wentBack(let moves) in notes {
            partitions.merge(moves.mapValues { "\($0.from)>\($0.to)" }) { _, last in last }
        }
        return partitions
    }

    var settling: [OffsetMove]? {
        if case .settle(let moves) = database { moves } else { nil }
    }

    var isPruning: Bool {
        if case .prune = database { true } else { false }
    }

    var isBackingOff: Bool {
        sleeping.contains { if case .database = $0 { true } else { false } }
    }

    mutating func backOff() throws {
        try fire { if case .database = $0 { true } else { false } }
    }

    var stopped: [StoppedPartition] {
        notes.compactMap { if case .stopped(let partition) = $0 { partition } else { nil } }
    }

    /// A run that owns these partitions from these offsets on. A poll is running.
    static func owning(
        _ offsets: [TopicPartition: Int64], _ change: (inout RunnerState.Settings) -> Void = { _ in }
    ) throws -> Driver {
        var driver = Driver(change)
        try driver.polled(.assigned(offsets.keys.sorted()))
        try driver.database(.offsetsLoaded(offsets))
        try driver.polled()
        try driver.polled()
        return driver
    }
}

/// A batch with `count` events of each partition, interleaved, from the given offsets on.
func batch(
    _ starts: [(TopicPartition, Int64)], count: Int = 2, failing: TopicPartition? = nil
) -> IntakeReport.Polled {
    var layout = BatchLayout()
    let parts = starts.map { layout.appendPart($0.0, from: $0.1) }
    for index in 0..<count {
        for (part, start) in zip(parts, starts) {
            layout.appendEvent(part: part, offset: start.1 + Int64(index))
        }
    }
    for (part, start) in zip(parts, starts) where start.0 == failing {
        layout.appendFailure(EventFailure("bad", "bad"), part: part, offset: start.1 + Int64(count))
    }
    return .batch(layout)
}

struct Away: Error {}
let transient = DatabaseFailure(kind: .transient, underlying: Away())

extension Driver {
    /// Fails the running write. Any of its items may be the cause.
    mutating func failWrite(_ cause: WriteFault.Cause, culprit: Int? = nil, mayBeOutdated: Bool = false) throws {
        let order = try #require(write, "nothing is being written")
        let fault = WriteFault(
            items: .range(order.slice.items), cause: cause, culprit: culprit, mayBeOutdated: mayBeOutdated)
        try database(.written(.failed(fault)))
    }
}
