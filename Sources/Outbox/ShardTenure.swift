internal import Kafka
internal import Postgres
internal import StreamCore

/// One shard's life in one process: stand by, be elected, publish, lose the lock or the database, stand by again.
struct ShardTenure: Sendable {
    let configuration: OutboxRelayConfiguration
    let postgres: PostgresConfiguration
    let kafka: KafkaClientConfiguration
    let shard: Int
    let stop: StopSignal
    let reports: RelayReports

    /// How one try ended.
    private struct End {
        /// Nil when it was told to stop.
        var error: (any Error)?
        /// The shard was led or stood by for: settings, tables and rights are right.
        var hasStarted = false
        var hasPublished = false
        var hasRemoved = false
    }

    /// Runs until told to stop.
    ///
    /// What refuses the first start is a mistake of the deployment, and ends the relay. What comes later (a password
    /// changed, a table missing for a while, no more threads) passes or is mended: the relay waits, and says so.
    ///
    /// - Throws: ``OutboxRelayError`` when trying again is of no use.
    func run() async throws {
        let bell = stop.bell()
        var pacing = TenurePacing()
        var hasStarted = false
        while !stop.isSet {
            let start = ContinuousClock.now
            let end = await standByAndPublish(bell)
            hasStarted = hasStarted || end.hasStarted
            guard let error = end.error else { continue }
            if !hasStarted, let refusal = Self.refusal(error) { throw refusal }
            reports.away(error)
            let wait = pacing.next(
                after: .init(
                    hasPublished: end.hasPublished, hasRemoved: end.hasRemoved, lasted: ContinuousClock.now - start))
            await pause(wait, bell)
        }
    }

    /// What no waiting mends, when it is met at the start.
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

    /// Waits, and shows meanwhile that the loop moves.
    private func pause(_ wait: Duration, _ bell: Doorbell) async {
        let end = ContinuousClock.now + wait
        while !stop.isSet, case let left = end - .now, left > .zero {
            await bell.wait(atMost: min(left, .seconds(1)))
            reports.alive()
        }
    }

    /// Waits for the lock and publishes as long as it holds.
    private func standByAndPublish(_ bell: Doorbell) async -> End {
        var end = End()
        do {
            let connection = try await LockSession.connect(postgres)
            do {
                let inspection = try await OutboxInspection.of(configuration, shard: shard, on: connection)
                try await ShardRegistry(
                    schema: postgres.schema, table: configuration.table, shards: configuration.shards
                ).enter(on: connection)
                reports.back()
                if let session = try await waitForLock(connection, inspection.statements, bell, &end) {
                    try await publish(session, inspection, &end)
                }
            } catch {
                end.error = error
            }
            await connection.close()
        } catch {
            end.error = error
        }
        return end
    }

    /// - Returns: nil when told to stop.
    private func waitForLock(
        _ connection: PostgresConnection, _ statements: OutboxStatements, _ bell: Doorbell, _ end: inout End
    ) async throws -> LockSession? {
        while !stop.isSet {
            let session = try await LockSession.acquire(
                on: connection, table: configuration.table, schema: postgres.schema, shard: shard,
                statements: statements)
            if let session { return session }
            if !end.hasStarted { reports.standingBy() }
            end.hasStarted = true
            reports.standby()
            let interval = Duration.milliseconds(configuration.electionIntervalMs)
            await bell.wait(atMost: interval * Double.random(in: 0.75...1.25))
        }
        return nil
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
            if !end.hasStarted { inspection.notes.forEach(reports.note) }
            end.hasStarted = true
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
