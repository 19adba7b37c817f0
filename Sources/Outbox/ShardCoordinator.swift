internal import Kafka
internal import Leadership
internal import Logging
internal import Postgres
internal import StreamCore
internal import Synchronization

/// Runs the shards that this process publishes. It reads which processes run, lets ``ShardDistribution`` decide, and
/// starts and ends a ``ShardOwnership`` for each shard.
struct ShardCoordinator: Sendable {
    let configuration: OutboxRelayConfiguration
    let limits: Live<RelayLimits>
    let postgres: PostgresConfiguration
    let kafka: KafkaClientConfiguration
    let reports: [RelayReports]
    let stop: StopSignal
    /// Called after each iteration of the loop, at least once a second while the database answers.
    let onTurn: @Sendable () -> Void

    /// A message of a shard's task.
    private enum News: Sendable {
        case reached(ShardOwnership.Milestone, Int)
        case ended(Int, ShardOwnership.End, lasted: Duration)
    }

    /// The state of the loop.
    private struct State {
        var distribution: ShardDistribution
        var pacings: [OwnershipPacing]
        /// Ends the work on a shard.
        var stops: [Int: StopSignal] = [:]
        var membership: RelayMembership?
        var lookBackoff = Backoff(initial: .milliseconds(100), ceiling: .seconds(5))
        var nextLook = ContinuousClock.now
        /// The reason why the owners of shards are unknown; nil when they are known.
        var trouble: (any Error)?
        /// The tables are correct and the database answers. From now on the process waits for any failure to end.
        var hasStarted = false
    }

    /// The messages of the tasks, and the signal that announces them.
    private final class Mailbox: Sendable {
        private let news = Mutex<[News]>([])
        let signal: WakeSignal

        init(_ signal: WakeSignal) {
            self.signal = signal
        }

        func post(_ item: News) {
            news.withLock { $0.append(item) }
            signal.raise()
        }

        func takeAll() -> [News] {
            news.withLock { news in
                defer { news = [] }
                return news
            }
        }
    }

    /// Runs until told to stop, and then until all shards are released.
    ///
    /// An error before the first start has succeeded is a mistake of the deployment and ends the relay. A later error
    /// (a changed password, a temporarily missing table, too few threads) is temporary: the relay reports it and waits.
    ///
    /// - Throws: ``OutboxRelayError`` if another attempt cannot succeed.
    func run() async throws {
        let keys = RelayLockKeys(
            schema: postgres.schema, table: configuration.table, shards: configuration.shards)
        let mailbox = Mailbox(stop.subscribe())
        let refusal = await withDiscardingTaskGroup { group -> OutboxRelayError? in
            var state = State(
                distribution: ShardDistribution(
                    member: keys.process, shards: configuration.shards, patience: interval * 3),
                pacings: Array(repeating: OwnershipPacing(), count: configuration.shards))
            var refusal: OutboxRelayError?
            while !stop.isSet && refusal == nil {
                refusal = take(mailbox.takeAll(), &state)
                if refusal == nil && state.nextLook <= .now {
                    refusal = await look(keys, mailbox, &state, &group)
                }
                onTurn()
                if refusal == nil {
                    tellStanding(state)
                    await mailbox.signal.wait(atMost: min(.seconds(1), max(.zero, state.nextLook - .now)))
                }
            }
            // The remaining shards end gracefully before the process exits.
            for stop in state.stops.values { stop.set() }
            await state.membership?.leave()
            return refusal
        }
        if let refusal { throw refusal }
    }

    private var interval: Duration { .milliseconds(configuration.electionIntervalMs) }

    // MARK: - look

    /// Reads which processes run, and acts on it.
    ///
    /// - Returns: the reason why the process cannot work at all.
    private func look(
        _ keys: RelayLockKeys, _ mailbox: Mailbox, _ state: inout State, _ group: inout DiscardingTaskGroup
    ) async -> OutboxRelayError? {
        do {
            let membership = try await enter(keys, &state)
            let view = try await membership.look()
            if state.trouble != nil { reports.forEach { $0.back() } }
            state.trouble = nil
            state.lookBackoff.reset()
            state.nextLook = .now + interval * Double.random(in: 0.75...1.25)
            // The next owner would publish rows again that are published but not removed.
            let bound = Set(reports.indices.filter { reports[$0].hasUnremovedRows })
            for action in state.distribution.looked(at: view, keeping: bound, now: .now) {
                run(action, keys, mailbox, &state, &group)
            }
            // A process without shards is a standby. This counts as started.
            if state.stops.isEmpty { state.hasStarted = true }
            return nil
        } catch {
            if !state.hasStarted, let refusal = Self.refusal(error) { return refusal }
            await state.membership?.leave()
            state.membership = nil
            state.trouble = error
            state.nextLook = .now + state.lookBackoff.next()
            return nil
        }
    }

    private func enter(_ keys: RelayLockKeys, _ state: inout State) async throws -> RelayMembership {
        if let membership = state.membership { return membership }
        let connection = try await LockSession.connect(OutboxWriter.sessions(postgres))
        do {
            // Check the tables before anything is published.
            let inspection = try await OutboxInspection.of(configuration, shard: 0, on: connection)
            let registry = ShardRegistry(
                schema: postgres.schema, table: configuration.table, shards: configuration.shards)
            let membership = try await RelayMembership.enter(keys, registry: registry, on: connection)
            if !state.hasStarted { inspection.notes.forEach { reports[0].note($0) } }
            state.membership = membership
            return membership
        } catch {
            await LockSession.end(connection)
            throw error
        }
    }

    private func run(
        _ action: ShardDistribution.Action, _ keys: RelayLockKeys, _ mailbox: Mailbox, _ state: inout State,
        _ group: inout DiscardingTaskGroup
    ) {
        let shard: Int
        let mode: LeadershipMode
        switch action {
        case .giveUp(let shard):
            reports[shard].handingOver()
            state.stops[shard]?.set()
            return
        case .take(let free): (shard, mode) = (free, .ifFree)
        case .ask(let owned): (shard, mode) = (owned, .whenHandedOver)
        }
        let signal = stop.child()
        state.stops[shard] = signal
        let ownership = ShardOwnership(
            configuration: configuration, postgres: postgres, kafka: kafka, keys: keys, shard: shard, stop: signal,
            reports: reports[shard], limits: limits, onMilestone: { mailbox.post(.reached($0, shard)) })
        group.addTask {
            let start = ContinuousClock.now
            let end = await ownership.run(mode)
            mailbox.post(.ended(shard, end, lasted: .now - start))
        }
    }

    // MARK: - what the shards say

    /// - Returns: the reason why the process cannot work at all.
    private func take(_ news: [News], _ state: inout State) -> OutboxRelayError? {
        for item in news {
            switch item {
            case .reached(.lock, let shard): state.distribution.holds(shard, now: .now)
            case .reached(.start, _): state.hasStarted = true
            case .ended(let shard, let end, let lasted):
                if let signal = state.stops.removeValue(forKey: shard) { stop.unsubscribe(signal) }
                guard let error = end.error else {
                    state.distribution.ended(shard, end.hadLock ? .released : .notFree, now: .now)
                    continue
                }
                if !state.hasStarted, let refusal = Self.refusal(error) { return refusal }
                reports[shard].away(error)
                let wait = state.pacings[shard].next(
                    after: .init(hasPublished: end.hasPublished, hasRemoved: end.hasRemoved, lasted: lasted))
                state.distribution.ended(shard, .failed(wait: wait), now: .now)
                state.nextLook = min(state.nextLook, .now + wait)
            }
        }
        return nil
    }

    /// An error at the start that waiting cannot correct.
    private static func refusal(_ error: any Error) -> OutboxRelayError? {
        switch error {
        case let error as OutboxRelayError: error
        case let error as PostgresError where error.kind == .everything:
            OutboxRelayError(.database, error.description)
        case let error as KafkaError where error.kind == .everything && !error.isFatal:
            OutboxRelayError(.kafka, error.description)
        default: nil
        }
    }

    /// Reports progress once a second, even while the loop waits. A published shard reports its own progress.
    private func tellStanding(_ state: State) {
        for shard in reports.indices {
            let role = state.distribution.role(for: shard)
            if role == .owner { continue }
            if let trouble = state.trouble {
                reports[shard].away(trouble)
            } else if role == .pausing {
                reports[shard].alive()
            } else {
                reports[shard].standby()
            }
        }
    }
}
