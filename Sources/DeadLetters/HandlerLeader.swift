internal import Kafka
internal import Leadership
internal import Postgres
internal import StreamCore

/// The work that only one of several handlers does: the leader schedules and sends letters.
///
/// All statements run in the session that holds the leader's lock, so a handler without the lock cannot change
/// anything. The next leader sends the records that the old producer still has in flight again, with the same delivery
/// number.
struct HandlerLeader: Sendable {
    let configuration: DeadLetterHandlerConfiguration
    let postgres: PostgresConfiguration
    let kafka: KafkaClientConfiguration
    let telemetry: HandlerTelemetry
    let stop: StopSignal
    /// Wakes the leader when letters became due.
    let due: DueSignal
    let onTurn: @Sendable () -> Void

    private static let shortestPause = Duration.milliseconds(5)

    /// Stands by, leads, and stands by again after a failure, until told to stop.
    ///
    /// - Throws: ``DeadLetterHandlerError`` if another attempt cannot succeed.
    func run() async throws {
        let election = LeaderElection(
            AdvisoryLockKey("millrace.dead-letters:\(postgres.schema)"), postgres: postgres,
            mode: .standby(interval: .milliseconds(configuration.electionIntervalMs)), stop: stop,
            isPermanent: { Self.refusal($0) != nil },
            onChange: { change in
                switch change {
                case .standingBy(let isFirst):
                    if isFirst { telemetry.standingBy() }
                    onTurn()
                case .lockTaken: break
                case .failed(let error):
                    telemetry.away(error)
                    onTurn()
                }
            })
        do {
            try await election.run { lock in
                telemetry.leading()
                try await work(lock.connection)
                telemetry.stopped()
            }
        } catch {
            throw Self.refusal(error) ?? error
        }
    }

    /// An error that waiting cannot correct.
    private static func refusal(_ error: any Error) -> (any Error)? {
        switch error {
        case let error as PostgresError where error.kind == .everything:
            DeadLetterHandlerError(.database, error.description)
        case let error as TransactionError where error.kind == .everything:
            DeadLetterHandlerError(.database, error.description)
        case let error as KafkaError where error.kind == .everything:
            DeadLetterHandlerError(.kafka, error.description)
        default: nil
        }
    }

    private func work(_ connection: PostgresConnection) async throws {
        var sender = try LetterSender(connection, configuration, kafka, telemetry)
        var statistics = LetterStatistics(connection)
        let result: Result<Void, any Error>
        do {
            try await turn(connection, &sender, &statistics)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        statistics.retire()
        await sender.close()
        try result.get()
    }

    /// Runs until told to stop: sends due and queued letters, and at intervals handles letters without an answer,
    /// metrics and retention. While there is work it continues at once. Otherwise it searches less and less often, and
    /// when answers have made letters due.
    private func turn(
        _ connection: PostgresConnection, _ sender: inout LetterSender, _ statistics: inout LetterStatistics
    ) async throws {
        let scheduler = RetryScheduler(connection: connection, configuration: configuration)
        let retention = LetterRetention(
            connection: connection, days: configuration.retentionDays, lettersAtOnce: configuration.pruneLetters)
        let idle = Duration.milliseconds(configuration.pollIntervalMs)
        // A letter without an answer is detected at most a quarter of the time limit late.
        var stuckWatch = Interval(.milliseconds(min(configuration.stuckAfterMs / 4, 30_000)))
        var statisticsWatch = Interval(.milliseconds(configuration.statisticsIntervalMs))
        var pruneWatch = Interval(.milliseconds(configuration.pruneIntervalMs))
        var pause = min(Self.shortestPause, idle)
        var failures = Backoff(initial: .milliseconds(100), ceiling: .seconds(5))
        while !stop.isSet {
            onTurn()
            if stuckWatch.isDue(.now) { telemetry.sentAgain(try await scheduler.sendStuckAgain()) }
            if statisticsWatch.isDue(.now) { try await statistics.refresh() }
            if pruneWatch.isDue(.now) {
                let pruned = try await retention.prune()
                telemetry.pruned(pruned)
                if pruned == configuration.pruneLetters { pruneWatch.end() }
            }
            let scheduled = try await scheduler.sendDue()
            telemetry.scheduled(scheduled)
            let turn: LetterSender.Turn
            do {
                turn = try await sender.turn()
            } catch let error as KafkaError where error.kind == .transient {
                turn = LetterSender.Turn(failure: error)
            }
            if let failure = turn.failure, turn.done == 0 {
                telemetry.kafkaFailing(failure)
                await stop.wait(atMost: failures.next())
                continue
            }
            failures.reset()
            if scheduled > 0 || turn.done > 0 {
                pause = min(Self.shortestPause, idle)
            } else {
                let limit = pause
                await stop.cancelling { [due] in await due.wait(atMost: limit) }
                pause = min(pause * 2, idle)
            }
        }
    }
}
