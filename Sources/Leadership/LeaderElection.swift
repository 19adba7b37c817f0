public import Postgres

/// Elects one of several processes as the leader, and lets it work until it is told to stop.
///
/// The steps of a leader, from top to bottom: connect → take the lock → lead → hand over. A session advisory lock
/// decides which process leads. ``LeadershipState`` decides what a process does meanwhile.
public struct LeaderElection: Sendable {
    /// A change of this process's role, for log and metrics.
    public enum Change: Sendable {
        /// Another process is the leader. Reported at each attempt; `isFirst` marks the first report in a row.
        case standingBy(isFirst: Bool)
        /// This process has the lock.
        case lockTaken
        /// An attempt failed; the process tries again automatically.
        case failed(any Error)
    }

    private let key: AdvisoryLockKey
    private let postgres: PostgresConfiguration
    private let mode: LeadershipMode
    private let stop: StopSignal
    private let isPermanent: @Sendable (any Error) -> Bool
    private let onChange: @Sendable (Change) -> Void

    /// - Parameters:
    ///   - key: the lock. All processes that elect one leader use the same key.
    ///   - postgres: the database of the lock. The leader makes its changes in the same session.
    ///   - mode: the way in which the process becomes the leader.
    ///   - stop: ends the work and releases the lock.
    ///   - isPermanent: whether another attempt after this error cannot succeed.
    ///   - onChange: called in order.
    public init(
        _ key: AdvisoryLockKey, postgres: PostgresConfiguration, mode: LeadershipMode, stop: StopSignal,
        isPermanent: @escaping @Sendable (any Error) -> Bool = { _ in false },
        onChange: @escaping @Sendable (Change) -> Void = { _ in }
    ) {
        self.key = key
        self.postgres = postgres
        self.mode = mode
        self.stop = stop
        self.isPermanent = isPermanent
        self.onChange = onChange
    }

    /// The connection or lock that the process holds now.
    private struct Held<Prepared> {
        var connection: PostgresConnection?
        var prepared: Prepared?
        var session: LockSession?
        /// The time at which the work began.
        var leadsSince: ContinuousClock.Instant?

        mutating func end() async {
            if let connection { await LockSession.end(connection) }
            self = Held()
        }
    }

    /// Runs until told to stop, or until the work returns. Unless the mode is standby, it also ends when the lock is
    /// not free.
    ///
    /// - Parameters:
    ///   - prepare: runs in each new session before it requests the lock.
    ///   - lead: the work, in the session that holds the lock. It must return soon after `stop` is set.
    /// - Throws: the failure, unless the mode is ``LeadershipMode/standby(interval:)`` and another attempt may succeed.
    public func run<Prepared: Sendable>(
        prepare: (PostgresConnection) async throws -> Prepared, lead: (LockSession, Prepared) async throws -> Void
    ) async throws {
        var state = LeadershipState(mode)
        var held = Held<Prepared>()
        var event = LeadershipState.Event.begun
        var failure: (any Error)?
        while true {
            if stop.isSet && failure == nil { event = .stopped }
            let action = state.handle(event)
            switch action {
            case .finish:
                return await held.end()
            case .giveUp:
                await held.end()
                // Only a failure leads to giving up.
                if let failure { throw failure }
                return
            case .standBy: onChange(.standingBy(isFirst: state.refusals == 1))
            case .pause:
                await held.end()
                if let failure { onChange(.failed(failure)) }
            case .connect, .tryLock, .waitForLock, .lead: break
            }
            failure = nil
            do {
                event = try await perform(action, &held, prepare, lead)
            } catch let error as PostgresError where error.code == .cancelled && stop.isSet {
                event = .stopped
            } catch {
                let led = held.leadsSince.map { ContinuousClock.now - $0 } ?? .zero
                failure = error
                event = .failed(isPermanent: isPermanent(error), led: led)
            }
        }
    }

    /// Like ``run(prepare:lead:)``, without a preparation.
    public func run(lead: (LockSession) async throws -> Void) async throws {
        try await run(prepare: { _ in }, lead: { session, _ in try await lead(session) })
    }

    private func perform<Prepared: Sendable>(
        _ action: LeadershipState.Action, _ held: inout Held<Prepared>,
        _ prepare: (PostgresConnection) async throws -> Prepared, _ lead: (LockSession, Prepared) async throws -> Void
    ) async throws -> LeadershipState.Event {
        switch action {
        case .connect:
            let connection = try await connect()
            held.connection = connection
            held.prepared = try await prepare(connection)
            return .connected
        case .tryLock, .waitForLock:
            guard let connection = held.connection else { preconditionFailure("a lock needs a session") }
            held.session = try await takeLock(on: connection, waiting: action == .waitForLock)
            guard held.session != nil else { return .lockRefused(jitter: .random(in: 0.75...1.25)) }
            onChange(.lockTaken)
            return .lockTaken
        case .lead:
            guard let session = held.session, let prepared = held.prepared else {
                preconditionFailure("a leader needs the lock")
            }
            // A standby server also grants the lock, and behind a pooler another session may hold it.
            try await session.verify()
            held.leadsSince = .now
            try await lead(session, prepared)
            return .workEnded
        case .standBy(let time):
            await stop.wait(atMost: time)
            return .waited
        case .pause(let time):
            await stop.wait(atMost: time)
            return .begun
        case .finish, .giveUp: return .stopped
        }
    }

    /// Connects until it is told to stop, so that a server that does not answer cannot keep the process from ending.
    private func connect() async throws(PostgresError) -> PostgresConnection {
        let postgres = postgres
        return try await stop.cancelling { () async -> Result<PostgresConnection, PostgresError> in
            do throws(PostgresError) {
                return .success(try await LockSession.connect(postgres))
            } catch {
                return .failure(error)
            }
        }.get()
    }

    /// - Returns: nil if another session has the lock.
    private func takeLock(
        on connection: PostgresConnection, waiting: Bool
    ) async throws(PostgresError) -> LockSession? {
        guard waiting else { return try await LockSession.tryLock(key, on: connection) }
        let key = key
        return try await stop.cancelling { () async -> Result<LockSession?, PostgresError> in
            do throws(PostgresError) {
                return .success(try await LockSession.waitForLock(key, on: connection))
            } catch {
                return .failure(error)
            }
        }.get()
    }
}
