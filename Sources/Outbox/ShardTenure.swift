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

    /// - Throws: ``OutboxRelayError`` when trying again is of no use.
    func run() async throws {
        let bell = stop.bell()
        var backoff = Backoff(initial: .milliseconds(100), ceiling: .seconds(5))
        while !stop.isSet {
            do {
                try await standByAndPublish(bell) { backoff.reset() }
            } catch let error as PostgresError where error.kind == .everything {
                throw OutboxRelayError(.database, error.description)
            } catch let error as KafkaError {
                throw OutboxRelayError(.kafka, error.description)
            } catch let error as OutboxRelayError {
                throw error
            } catch {
                reports.away(error)
                reports.standby()
                await bell.wait(atMost: backoff.next())
            }
        }
    }

    /// Waits for the lock and publishes as long as it holds.
    private func standByAndPublish(_ bell: Doorbell, _ onAnswer: () -> Void) async throws {
        let connection = try await LockSession.connect(postgres)
        let result: Result<Void, any Error>
        do {
            let (layout, statements) = try await inspect(connection)
            onAnswer()
            reports.back()
            if let session = try await waitForLock(connection, statements, bell) {
                reports.leading()
                try await publish(session, layout, statements)
                reports.stopped()
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await connection.close()
        try result.get()
    }

    /// - Returns: nil when told to stop.
    private func waitForLock(
        _ connection: PostgresConnection, _ statements: OutboxStatements, _ bell: Doorbell
    ) async throws -> LockSession? {
        var isFirst = true
        while !stop.isSet {
            let session = try await LockSession.acquire(
                on: connection, table: configuration.table, schema: postgres.schema, shard: shard,
                statements: statements)
            if let session { return session }
            if isFirst { reports.standingBy() }
            isFirst = false
            reports.standby()
            let interval = Duration.milliseconds(configuration.electionIntervalMs)
            await bell.wait(atMost: interval * Double.random(in: 0.75...1.25))
        }
        return nil
    }

    private func publish(_ session: LockSession, _ layout: RowLayout, _ statements: OutboxStatements) async throws {
        let bell = stop.bell()
        defer { stop.forget(bell) }
        let roomBell = stop.bell()
        defer { stop.forget(roomBell) }
        let flight = Flight(configuration, newsBell: bell, roomBell: roomBell, reports: reports)
        var readerConfiguration = postgres
        readerConfiguration.settings.merge(OutboxStatements.planning) { $1 }
        let reader = try await PostgresConnection.connect(readerConfiguration)
        let remover = Remover(
            session: session, flight: flight, rowsAtOnce: configuration.removalRows, reports: reports)
        let relay = try ShardRelay(
            configuration, layout: layout, statements: statements, reader: reader, session: session, kafka: kafka,
            flight: flight, stop: stop, reports: reports)
        let outcome: Result<Void, any Error> = await withThrowingTaskGroup { group in
            group.addTask { try await remover.run() }
            if let channel = configuration.notifyChannel {
                group.addTask { await listen(channel, ringing: bell) }
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
        await reader.close()
        try outcome.get()
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

    /// Looks whether the table is what the layout says.
    private func inspect(_ connection: PostgresConnection) async throws -> (RowLayout, OutboxStatements) {
        var layout = RowLayout(configuration)
        let question = OutboxStatements(configuration, layout: layout, shard: shard).columns
        let result = try await connection.execute(question)
        var types: [String: String] = [:]
        for row in 0..<result.rowCount { types[try result.string(row, 0)] = try result.string(row, 1) }
        let missing = layout.required.filter { types[$0] == nil }
        guard missing.isEmpty else {
            let advice = missing.contains(layout.position) ? layout.adoption.map { "; \($0)" } ?? "" : ""
            throw OutboxRelayError(
                .database,
                "table \(configuration.table) lacks the column\(missing.count > 1 ? "s" : "") "
                    + missing.joined(separator: ", ") + advice)
        }
        if types[layout.position] != "bigint" {
            throw OutboxRelayError(
                .database, "column \(layout.position) of table \(configuration.table) must be of type bigint")
        }
        if case .debezium(let columns) = configuration.layout {
            layout = RowLayout(configuration, payloadType: types[columns.payload] ?? "json")
        }
        return (layout, OutboxStatements(configuration, layout: layout, shard: shard))
    }
}
