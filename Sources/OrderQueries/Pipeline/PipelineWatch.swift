internal import Kafka
internal import Logging
internal import Postgres
internal import StreamCore
internal import Synchronization

/// Reads the state of the pipeline periodically, and keeps the last result for all requests.
final class PipelineWatch: Sendable {
    private struct State {
        var tracker: PipelineTracker
        var partitions: [TopicPartition] = []
        var snapshot = PipelineSnapshot()
        /// The time of the oldest event in the outbox that is not in Kafka.
        var oldestUnpublished: Timestamp?
        /// The upper limit of the time that is reported; see ``PipelineWatch/replayedUntil``.
        var limit = Limit.none
    }

    private enum Limit {
        case none
        /// Not later than this time; nil if the time is unknown.
        case until(Timestamp?)

        func bounded(_ asOf: Timestamp?) -> Timestamp? {
            switch self {
            case .none: asOf
            case .until(let limit): limit.flatMap { limit in asOf.map { min($0, limit) } }
            }
        }
    }

    /// An iteration of one of the two loops.
    enum Turn: Sendable {
        case brokers
        /// The database was read; the error if that failed.
        case database((any Error)?)
    }

    private let session: PostgresSession
    private let kafka: KafkaClientConfiguration
    private let intervalMs: Int
    /// For a replica, the time up to which it shows what was committed on the primary. It is needed because the
    /// replica's outbox does not contain rows that are not replayed yet.
    private let replayedUntil: (@Sendable () -> Timestamp?)?
    private let logger: Logger
    private let state: Mutex<State>

    /// Maximum time of one reading, in milliseconds.
    private static let timeoutMs = 2_000

    /// - Parameter readModels: the names of the read models that this service reads; nil for all of the database.
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

    /// The result of the last reading.
    var snapshot: PipelineSnapshot { state.withLock { $0.snapshot } }
    /// ``PipelineSnapshot/asOfText`` of the last reading.
    var asOfText: String { state.withLock { $0.snapshot.asOfText } }

    /// The state of some read models at the last reading.
    struct Freshness: Sendable, Hashable {
        /// The time up to which all of them show what was committed; nil if it is unknown.
        let asOf: Timestamp?
        /// For each of them, a number that changes when it commits.
        let generations: [UInt64]
    }

    /// - Parameter names: the names of projections.
    func freshness(of names: [String]) -> Freshness {
        state.withLock { state in
            let asOf = state.tracker.asOfAll(Set(names)).map { min($0, state.oldestUnpublished ?? $0) }
            return Freshness(asOf: state.limit.bounded(asOf), generations: names.map(state.tracker.generation))
        }
    }

    /// Reads until the task is cancelled.
    ///
    /// - Parameter onTurn: called after each reading, with the error if the database could not be read.
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
                // The limit is read first, because the rows that are read after it are at least as new.
                let limit = replayedUntil.map { Limit.until($0()) } ?? .none
                let readings = try await reader.projections()
                if ContinuousClock.now - lastOptional >= .milliseconds(intervalMs) * 2 {
                    // These reads may be slow, or the user may lack the privilege. The rest is reported anyway.
                    outbox = try? await reader.outbox()
                    letters = try? await reader.deadLetters()
                    lastOptional = .now
                }
                note(readings, outbox, letters, limit)
            } catch {
                logger.debug("cannot read the state of the pipeline", metadata: ["error": "\(error)"])
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

    /// Reads the partitions' end offsets. While the brokers are not available, there are no new ones, and nothing else
    /// depends on them.
    private func watchKafka(_ onTurn: @Sendable (Turn) -> Void) async {
        var admin: KafkaAdmin?
        while !Task.isCancelled {
            let partitions = state.withLock { $0.partitions }
            if !partitions.isEmpty {
                do {
                    let client = try admin ?? KafkaAdmin(kafka, timeoutMs: Int32(Self.timeoutMs))
                    admin = client
                    // The time is read first, because records that are published during the request may be above or
                    // below the ends.
                    let now = Timestamp.now
                    let reading = EndReading(at: now, ends: try await client.endOffsets(of: partitions))
                    state.withLock { $0.tracker.note(reading) }
                } catch {
                    logger.debug("cannot read the end offsets of partitions", metadata: ["error": "\(error)"])
                }
            }
            onTurn(.brokers)
            try? await Task.sleep(for: .milliseconds(partitions.isEmpty ? 200 : intervalMs))
        }
    }
}
