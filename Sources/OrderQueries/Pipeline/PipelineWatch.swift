internal import Kafka
internal import Logging
internal import Postgres
internal import StreamCore
internal import Synchronization

/// Looks at the pipeline once in a while, and keeps the last look for all who ask.
final class PipelineWatch: Sendable {
    private struct State {
        var tracker: PipelineTracker
        var partitions: [TopicPartition] = []
        var snapshot = PipelineSnapshot()
        /// Of the rows in the outbox that have not reached Kafka.
        var oldestUnpublished: Timestamp?
        /// What cannot be exceeded; see ``PipelineWatch/replayedUntil``.
        var limit = Limit.none
    }

    private enum Limit {
        case none
        /// nil: nothing is known.
        case until(Timestamp?)

        func bounded(_ asOf: Timestamp?) -> Timestamp? {
            switch self {
            case .none: asOf
            case .until(let limit): limit.flatMap { limit in asOf.map { min($0, limit) } }
            }
        }
    }

    /// A turn of one of the two loops.
    enum Turn: Sendable {
        case brokers
        /// The look at the database, and why it did not answer.
        case database((any Error)?)
    }

    private let session: PostgresSession
    private let kafka: KafkaClientConfiguration
    private let intervalMs: Int
    /// Of a replica, up to when it shows what was committed: what it lacks, its outbox does not show as waiting.
    private let replayedUntil: (@Sendable () -> Timestamp?)?
    private let logger: Logger
    private let state: Mutex<State>

    /// A look may take so long before it is given up.
    private static let timeoutMs = 2_000

    /// - Parameter readModels: the names of the read models that answers are made of; nil for all of the database.
    init(
        _ postgres: PostgresConfiguration, _ kafka: KafkaClientConfiguration, of readModels: Set<String>?,
        intervalMs: Int,
        replayedUntil: (@Sendable () -> Timestamp?)? = nil, logger: Logger
    ) {
        session = PostgresSession(
            DashboardStatements.session(postgres, statementTimeoutMs: Self.timeoutMs),
            backoff: Backoff(initial: .milliseconds(100), ceiling: .seconds(2)))
        state = Mutex(State(tracker: PipelineTracker(of: readModels)))
        self.kafka = kafka
        self.intervalMs = intervalMs
        self.replayedUntil = replayedUntil
        self.logger = logger
    }

    /// The last look.
    var snapshot: PipelineSnapshot { state.withLock { $0.snapshot } }
    /// ``PipelineSnapshot/asOfText`` of the last look.
    var asOfText: String { state.withLock { $0.snapshot.asOfText } }

    /// How some read models were at the last look.
    struct Freshness: Sendable, Hashable {
        /// Up to when all of them show what was committed; nil when that is not known.
        let asOf: Timestamp?
        /// For each, a number that is another one after it has committed.
        let generations: [UInt64]
    }

    /// - Parameter names: of projections.
    func freshness(of names: [String]) -> Freshness {
        state.withLock { state in
            let asOf = state.tracker.asOfAll(Set(names)).map { min($0, state.oldestUnpublished ?? $0) }
            return Freshness(asOf: state.limit.bounded(asOf), generations: names.map(state.tracker.generation))
        }
    }

    /// Looks until the task is cancelled.
    ///
    /// - Parameter onTurn: called after each look, with what the database's failed with.
    func run(onTurn: @escaping @Sendable (Turn) -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.watchKafka(onTurn) }
            group.addTask { await self.watchDatabase(onTurn) }
        }
    }

    private func watchDatabase(_ onTurn: @Sendable (Turn) -> Void) async {
        var lastOptional = ContinuousClock.now - .seconds(60)
        var (outbox, letters): (OutboxReading?, DeadLetterReading?) = (nil, nil)
        while !Task.isCancelled {
            var failure: (any Error)?
            do {
                let reader = PipelineReader(connection: try await session.connectionAtOnce(), timeoutMs: Self.timeoutMs)
                // Before the rows: what is read afterwards is no older.
                let limit = replayedUntil.map { Limit.until($0()) } ?? .none
                let readings = try await reader.projections()
                if ContinuousClock.now - lastOptional >= .milliseconds(intervalMs) * 2 {
                    // They can be slow, or not be ours to read; the rest is told all the same.
                    outbox = try? await reader.outbox()
                    letters = try? await reader.deadLetters()
                    lastOptional = .now
                }
                note(readings, outbox, letters, limit)
            } catch {
                logger.debug("cannot look at the pipeline", metadata: ["error": "\(error)"])
                failure = error
            }
            onTurn(.database(failure))
            try? await Task.sleep(for: .milliseconds(intervalMs))
        }
    }

    private func note(
        _ readings: [ProjectionReading], _ outbox: OutboxReading?, _ letters: DeadLetterReading?, _ limit: Limit
    ) {
        let now = Timestamp.now
        state.withLock { state in
            state.tracker.note(readings, at: now)
            state.partitions = Set(readings.flatMap(\.next.keys)).sorted()
            state.oldestUnpublished = outbox?.oldest
            state.limit = limit
            state.snapshot = PipelineSnapshot(state.tracker, outbox, letters, at: now, bounded: limit.bounded)
        }
    }

    /// While the brokers are away, there are no ends, and that is all.
    private func watchKafka(_ onTurn: @Sendable (Turn) -> Void) async {
        var admin: KafkaAdmin?
        while !Task.isCancelled {
            let partitions = state.withLock { $0.partitions }
            if !partitions.isEmpty {
                do {
                    let client = try admin ?? KafkaAdmin(kafka, timeoutMs: Int32(Self.timeoutMs))
                    admin = client
                    // The instant comes first: what is published meanwhile may or may not be below the ends.
                    let now = Timestamp.now
                    let reading = EndReading(at: now, ends: try await client.endOffsets(of: partitions))
                    state.withLock { $0.tracker.note(reading) }
                } catch {
                    logger.debug("cannot read the partitions' ends", metadata: ["error": "\(error)"])
                }
            }
            onTurn(.brokers)
            try? await Task.sleep(for: .milliseconds(partitions.isEmpty ? 200 : intervalMs))
        }
    }
}
