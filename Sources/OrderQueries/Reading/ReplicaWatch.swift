internal import Logging
internal import Metrics
internal import Postgres
internal import StreamCore
internal import Synchronization

/// Reads the positions of the write-ahead logs of the primary and the replica, and decides which server answers reads.
final class ReplicaWatch: Sendable {
    private let choice: Mutex<ServerChoice>
    private let servers: [(server: ReadServer, postgres: PostgresConfiguration)]
    private let interval: Duration
    private let logger: Logger
    private let delay = Gauge(label: QueryMetrics.replicaDelay)
    private let answering = ReadServer.allCases.map { server in
        (server, Gauge(label: QueryMetrics.answeringServer, dimensions: [("server", server.rawValue)]))
    }

    private static let timeoutMs = 1_000
    private static let longestInterval = Duration.milliseconds(500)

    /// - Parameter maxDelayMs: the largest delay of a replica that answers, in milliseconds.
    init(
        primary: PostgresConfiguration, replica: PostgresConfiguration, maxDelayMs: Int, logger: Logger
    ) {
        interval = Self.interval(maxDelayMs: maxDelayMs)
        choice = Mutex(
            ServerChoice(
                maxDelay: .milliseconds(maxDelayMs), silence: interval * 3 + .milliseconds(Self.timeoutMs)))
        servers = [(.primary, primary), (.replica, replica)].map { server, postgres in
            var session = DashboardStatements.session(postgres, statementTimeoutMs: Self.timeoutMs)
            session.connectTimeoutMs = min(session.connectTimeoutMs, Self.timeoutMs)
            return (server, session)
        }
        self.logger = logger
        report(choice.withLock { $0 }, at: .now)
    }

    /// Time between two readings. The measured delay of the replica cannot be smaller than this.
    static func interval(maxDelayMs: Int) -> Duration { min(longestInterval, .milliseconds(max(10, maxDelayMs / 5))) }

    /// The server that answers now.
    var server: ReadServer { choice.withLock { $0.server } }
    var reason: ServerChoice.Reason { choice.withLock { $0.reason } }

    /// The time up to which the replica shows what was committed on the primary; nil if it is unknown.
    var replayedUntil: Timestamp? {
        let delay = choice.withLock { $0.delay(at: .now) }
        return delay.map { Timestamp(microseconds: Timestamp.now.microseconds - Int64($0 / .microseconds(1))) }
    }

    /// Runs until the task is cancelled.
    ///
    /// - Parameter onTurn: called after each decision, with the server that answers from then on.
    func run(onTurn: @escaping @Sendable (ReadServer) -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            for (server, postgres) in servers { group.addTask { await self.ask(server, postgres) } }
            group.addTask {
                while !Task.isCancelled {
                    try? await Task.sleep(for: self.interval)
                    self.decide()
                    onTurn(self.server)
                }
            }
        }
    }

    private func decide() {
        let now = ContinuousClock.now
        let (changed, choice) = choice.withLock { choice in (choice.decide(at: now), choice) }
        report(choice, at: now)
        guard changed else { return }
        logger.notice(
            "reads go to another server",
            metadata: ["server": "\(choice.server.rawValue)", "reason": "\(choice.reason.rawValue)"])
    }

    private func report(_ choice: ServerChoice, at now: ContinuousClock.Instant) {
        for (server, gauge) in answering { gauge.record(server == choice.server ? 1 : 0) }
        delay.record(choice.delay(at: now).map { $0 / .seconds(1) } ?? .nan)
    }

    private func ask(_ server: ReadServer, _ postgres: PostgresConfiguration) async {
        let session = PostgresSession(postgres)
        while !Task.isCancelled {
            do {
                let connection = try await session.connectionAtOnce()
                let asked = ContinuousClock.now
                let position = try await connection.execute(Self.position, timeoutMs: Self.timeoutMs).int64(0, 0)
                choice.withLock { choice in
                    switch server {
                    case .primary: choice.primary(at: position, asked: asked, now: .now)
                    case .replica: choice.replica(at: position, now: .now)
                    }
                }
            } catch {
                choice.withLock { $0.isAway(server) }
                logger.debug(
                    "cannot read a server's position", metadata: ["server": "\(server)", "error": "\(error)"])
            }
            try? await Task.sleep(for: interval)
        }
    }

    /// The position that a standby has replayed, or that any other server has written.
    private static let position: Statement = """
        SELECT pg_wal_lsn_diff(
            CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0')::bigint
        """
}
