internal import Kafka
internal import Postgres
internal import StreamCore

/// The part of the handler of which there is one, however many handlers run: stand by, be elected, schedule and send,
/// lose the database, stand by again.
///
/// A session advisory lock elects. All that the elected does runs in the very session that holds the lock, so one that
/// lost it can change nothing. What its producer still has under way is sent again by the next, with the same delivery
/// number.
struct HandlerTenure: Sendable {
    let configuration: DeadLetterHandlerConfiguration
    let postgres: PostgresConfiguration
    let kafka: KafkaClientConfiguration
    let telemetry: HandlerTelemetry
    let stop: StopBell
    let onTurn: @Sendable () -> Void

    private static let shortestPause = Duration.milliseconds(5)

    /// - Throws: ``DeadLetterHandlerError`` when trying again is of no use.
    func run() async throws {
        var backoff = Backoff(initial: .milliseconds(100), ceiling: .seconds(5))
        while !stop.isSet {
            do {
                try await standByAndWork { backoff.reset() }
            } catch let error as PostgresError where error.kind == .everything {
                throw DeadLetterHandlerError(.database, error.description)
            } catch let error as TransactionError where error.kind == .everything {
                throw DeadLetterHandlerError(.database, error.description)
            } catch let error as KafkaError where error.kind == .everything {
                throw DeadLetterHandlerError(.kafka, error.description)
            } catch {
                telemetry.away(error)
                onTurn()
                await stop.wait(atMost: backoff.next())
            }
        }
    }

    /// Waits for the lock and works as long as it holds.
    private func standByAndWork(_ onAnswer: () -> Void) async throws {
        let connection = try await PostgresConnection.connect(sessionConfiguration)
        let result: Result<Void, any Error>
        do {
            if try await waitForLock(connection, onAnswer) {
                telemetry.back()
                telemetry.leading()
                try await work(connection)
                telemetry.stopped()
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await connection.close()
        try result.get()
    }

    /// A session whose death both ends notice within seconds: a handler whose machine vanished must not keep the lock.
    private var sessionConfiguration: PostgresConfiguration {
        var configuration = postgres
        configuration.keepaliveIdleSeconds = 5
        configuration.keepaliveIntervalSeconds = 2
        configuration.tcpUserTimeoutMs = 10_000
        configuration.settings["tcp_keepalives_idle"] = "5"
        configuration.settings["tcp_keepalives_interval"] = "2"
        configuration.settings["tcp_keepalives_count"] = "3"
        return configuration
    }

    /// - Returns: false when told to stop.
    private func waitForLock(_ connection: PostgresConnection, _ onAnswer: () -> Void) async throws -> Bool {
        let key = AdvisoryLockKey("millrace.dead-letters:\(postgres.schema)")
        var isFirst = true
        while !stop.isSet {
            if try await connection.tryAdvisoryLock(key) { return true }
            onAnswer()
            if isFirst { telemetry.standingBy() }
            isFirst = false
            onTurn()
            let interval = Duration.milliseconds(configuration.electionIntervalMs)
            await stop.wait(atMost: interval * Double.random(in: 0.75...1.25))
        }
        return false
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

    /// Until told to stop: what is due, what is queued; now and then the stuck, the numbers and the old. While there is
    /// work it goes on at once; then it looks less and less often.
    private func turn(
        _ connection: PostgresConnection, _ sender: inout LetterSender, _ statistics: inout LetterStatistics
    ) async throws {
        let scheduler = RetryScheduler(connection: connection, configuration: configuration)
        let retention = LetterRetention(
            connection: connection, days: configuration.retentionDays, lettersAtOnce: configuration.pruneLetters)
        let idle = Duration.milliseconds(configuration.pollIntervalMs)
        // Nobody is stuck for sure before this is a part of what stuck means.
        var stuckWatch = Interval(.milliseconds(min(configuration.stuckAfterMs / 4, 30_000)))
        var statisticsWatch = Interval(.milliseconds(configuration.statisticsIntervalMs))
        var pruneWatch = Interval(.milliseconds(configuration.pruneIntervalMs))
        var pause = min(Self.shortestPause, idle)
        var failures = Backoff(initial: .milliseconds(100), ceiling: .seconds(5))
        while !stop.isSet {
            onTurn()
            if stuckWatch.isOver() { telemetry.sentAgain(try await scheduler.sendStuckAgain()) }
            if statisticsWatch.isOver() { try await statistics.refresh() }
            if pruneWatch.isOver() {
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
                await stop.wait(atMost: pause)
                pause = min(pause * 2, idle)
            }
        }
    }
}

/// Says once in a while that it is time.
struct Interval {
    private let length: Duration
    private var last: ContinuousClock.Instant?

    init(_ length: Duration) {
        self.length = length
    }

    /// Whether the time is over; then it begins anew. The first time it is.
    mutating func isOver() -> Bool {
        let now = ContinuousClock.now
        if let last, now - last < length { return false }
        last = now
        return true
    }

    /// The next time it is over.
    mutating func end() {
        last = nil
    }
}
