internal import Kafka
internal import Postgres
internal import StreamCore

/// The time for which this process owns one shard: it takes the lock, publishes as long as it holds, and ends.
struct ShardOwnership: Sendable {
    /// How the lock is taken.
    enum Way: Sendable {
        /// If nobody has it.
        case ifFree
        /// When its owner gives it up.
        case whenGivenUp
    }

    /// What is told while it lasts.
    enum Milestone: Sendable {
        /// The lock is had.
        case lock
        /// Publishing begins: settings, tables and rights are right.
        case start
    }

    /// What came of it.
    struct End: Sendable {
        /// Nil when it was told to stop, or somebody else has the lock.
        var error: (any Error)?
        /// The lock was had.
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
    let onMilestone: @Sendable (Milestone) -> Void

    /// Runs until told to stop, or until something fails.
    func run(_ way: Way) async -> End {
        var end = End()
        do {
            let connection = try await LockSession.connect(postgres)
            do {
                let inspection = try await OutboxInspection.of(configuration, shard: shard, on: connection)
                try await ShardRegistry(
                    schema: postgres.schema, table: configuration.table, shards: configuration.shards
                ).enter(on: connection)
                // Before the shard's lock: whoever sees that one must see whose it is.
                try await keys.share(.owner, on: connection)
                if let session = try await takeLock(way, on: connection, inspection.statements) {
                    end.hadLock = true
                    onMilestone(.lock)
                    try await publish(session, inspection, &end)
                }
            } catch {
                end.error = error
            }
            await LockSession.end(connection)
        } catch {
            end.error = error
        }
        return end
    }

    /// - Returns: nil when somebody else has the lock, or when told to stop.
    private func takeLock(
        _ way: Way, on connection: PostgresConnection, _ statements: OutboxStatements
    ) async throws -> LockSession? {
        let key = keys.shards[shard]
        switch way {
        case .ifFree: return try await LockSession.acquire(key, on: connection, statements)
        case .whenGivenUp:
            let bell = stop.bell()
            defer { stop.forget(bell) }
            return try await withThrowingTaskGroup { group in
                group.addTask { try await LockSession.waitFor(key, on: connection, statements) }
                group.addTask {
                    await bell.wait()
                    return nil
                }
                defer { group.cancelAll() }
                return try await group.next() ?? nil
            }
        }
    }

    private func publish(_ session: LockSession, _ inspection: OutboxInspection, _ end: inout End) async throws {
        // A standby grants the lock as well: what is published must be removable.
        try await session.verify()
        let bell = stop.bell()
        defer { stop.forget(bell) }
        let roomBell = stop.bell()
        defer { stop.forget(roomBell) }
        let flight = Flight(configuration, newsBell: bell, roomBell: roomBell, reports: reports)
        var readerConfiguration = postgres
        readerConfiguration.settings.merge(OutboxStatements.planning) { $1 }
        let reader = try await PostgresConnection.connect(readerConfiguration)
        do {
            try await session.requireSameServer(as: reader)
            let relay = try ShardRelay(
                configuration, layout: inspection.layout, statements: inspection.statements, reader: reader,
                session: session, kafka: kafka, flight: flight, stop: stop, reports: reports)
            onMilestone(.start)
            reports.leading()
            let outcome = await run(relay, session, flight)
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

    /// Publishes and removes until one of the two ends.
    private func run(_ relay: ShardRelay, _ session: LockSession, _ flight: Flight) async -> Result<Void, any Error> {
        let remover = Remover(
            session: session, flight: flight, rowsAtOnce: configuration.removalRows, reports: reports)
        return await withThrowingTaskGroup { group in
            group.addTask { try await remover.run() }
            if let channel = configuration.notifyChannel {
                group.addTask { await listen(channel, ringing: flight.newsBell) }
            }
            do {
                try await relay.run()
                flight.finish()
                try await group.next()
                group.cancelAll()
                return .success(())
            } catch {
                flight.lose(error)
                // What was acknowledged is removed, if the session still lives.
                flight.finish()
                _ = await group.nextResult()
                group.cancelAll()
                return .failure(error)
            }
        }
    }

    /// Rings for each NOTIFY. Only a hint: without it, polling finds the rows.
    private func listen(_ channel: String, ringing bell: Doorbell) async {
        while !Task.isCancelled {
            do {
                for try await _ in try await PostgresListener.connect(postgres, channels: [channel]) { bell.ring() }
            } catch {
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }
}
