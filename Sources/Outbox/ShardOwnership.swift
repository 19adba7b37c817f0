internal import Kafka
internal import Leadership
internal import Postgres
internal import StreamCore
internal import Synchronization

/// Owns one shard: takes its lock, publishes while it holds the lock, and ends.
struct ShardOwnership: Sendable {
    /// A step that is reported to the coordinator.
    enum Milestone: Sendable {
        /// The process has received the lock.
        case lock
        /// Publishing begins. Settings, tables and privileges are correct.
        case start
    }

    /// The result.
    struct End: Sendable {
        /// nil if it was stopped, or another process has the lock.
        var error: (any Error)?
        /// Whether the process has received the lock.
        var hadLock = false
        var hasPublished = false
        var hasRemoved = false
    }

    let configuration: OutboxRelayConfiguration
    let postgres: PostgresConfiguration
    let kafka: KafkaClientConfiguration
    let keys: RelayLockKeys
    let shard: Int
    /// Ends the work on this shard.
    let stop: StopSignal
    let reports: RelayReports
    let limits: Live<RelayLimits>
    let onMilestone: @Sendable (Milestone) -> Void

    /// Runs until it is stopped, cannot get the lock, or fails.
    func run(_ mode: LeadershipMode) async -> End {
        var end = End()
        let hadLock = Atomic(false)
        let election = LeaderElection(
            keys.shards[shard], postgres: OutboxWriter.sessions(postgres), mode: mode, stop: stop,
            onChange: { change in
                guard case .lockTaken = change else { return }
                hadLock.store(true, ordering: .releasing)
                onMilestone(.lock)
            })
        do {
            try await election.run(prepare: prepare) { lock, inspection in
                try await publish(await OutboxWriter(lock, inspection.statements), inspection, &end)
            }
        } catch {
            end.error = error
        }
        end.hadLock = hadLock.load(ordering: .acquiring)
        return end
    }

    /// Runs before the shard's lock is requested. It checks the tables, and takes the lock that shows other processes
    /// to which process the session belongs.
    private func prepare(_ connection: PostgresConnection) async throws -> OutboxInspection {
        let inspection = try await OutboxInspection.of(configuration, shard: shard, on: connection)
        try await ShardRegistry(
            schema: postgres.schema, table: configuration.table, shards: configuration.shards
        ).enter(on: connection)
        try await keys.share(.owner, on: connection)
        return inspection
    }

    private func publish(_ writer: OutboxWriter, _ inspection: OutboxInspection, _ end: inout End) async throws {
        let signal = stop.subscribe()
        defer { stop.unsubscribe(signal) }
        let roomSignal = stop.subscribe()
        defer { stop.unsubscribe(roomSignal) }
        let notices = OutboxNotices(waking: signal)
        let flight = Flight(configuration, newsSignal: signal, roomSignal: roomSignal, reports: reports)
        var readerConfiguration = postgres
        readerConfiguration.settings.merge(OutboxStatements.planning) { $1 }
        let thread = PostgresThread()
        let reader = try await PostgresConnection.connect(readerConfiguration, on: thread)
        do {
            try await writer.requireSameServer(as: reader)
            let relay = try ShardRelay(
                configuration, layout: inspection.layout, statements: inspection.statements, reader: reader, on: thread,
                writer: writer, kafka: kafka, flight: flight, notices: notices, stop: stop, reports: reports,
                limits: limits)
            onMilestone(.start)
            reports.leading()
            let outcome = await run(relay, writer, flight, notices)
            end.hasPublished = flight.hasPublished
            end.hasRemoved = flight.hasRemoved
            reports.stopped()
            try outcome.get()
        } catch {
            await reader.close()
            throw error
        }
        await reader.close()
    }

    /// Runs the publisher and the remover until one of them ends.
    private func run(
        _ relay: ShardRelay, _ writer: OutboxWriter, _ flight: Flight, _ notices: OutboxNotices
    ) async -> Result<Void, any Error> {
        let remover = Remover(
            writer: writer, flight: flight, rowsAtOnce: configuration.removalRows, reports: reports)
        return await withThrowingTaskGroup { group in
            group.addTask { try await remover.run() }
            if let channel = configuration.notifyChannel {
                group.addTask { await listen(channel, notices) }
            }
            do {
                try await relay.run()
                flight.finish()
                try await group.next()
                group.cancelAll()
                return .success(())
            } catch {
                flight.lose(error)
                // The remover removes the acknowledged rows if the session still works.
                flight.finish()
                _ = await group.nextResult()
                group.cancelAll()
                return .failure(error)
            }
        }
    }

    /// Wakes the publisher for each NOTIFY. NOTIFY is only a hint: polling finds the rows without it.
    private func listen(_ channel: String, _ notices: OutboxNotices) async {
        while !Task.isCancelled {
            do {
                let listener = try await PostgresListener.connect(postgres, channels: [channel])
                try await listener.run { _ in notices.arrived() }
                notices.cannotCome()
            } catch {
                notices.cannotCome()
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }
}
