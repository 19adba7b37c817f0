public import Postgres

/// Makes one of many processes the leader, and lets it work until it is told to stop.
///
/// The way of a leader, top to bottom: connect → take the lock → lead → hand over. A session advisory lock decides who
/// leads; ``LeadershipState`` decides what a process does meanwhile.
public struct LeaderElection: Sendable {
    /// What becomes of this process, for log and metrics.
    public enum Change: Sendable {
        /// Another process is the leader. Told at each try; the first one in a row is `isFirst`.
        case standingBy(isFirst: Bool)
        /// This process has the lock.
        case lockTaken
        /// Something failed; the process tries again by itself.
        case failed(any Error)
    }

    private let key: AdvisoryLockKey
    private let postgres: PostgresConfiguration
    private let mode: LeadershipMode
    private let stop: StopSignal
    private let isPermanent: @Sendable (any Error) -> Bool
    private let onChange: @Sendable (Change) -> Void

    /// - Parameters:
    ///   - key: the lock. All processes of which one may lead name the same.
    ///   - postgres: where the lock is; the leader's changes belong into the same session.
    ///   - stop: ends the work and gives the lock back.
    ///   - isPermanent: whether trying again after this error is of no use.
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

    /// What the process has at the moment.
    private struct Held<Prepared> {
        var connection: PostgresConnection?
        var prepared: Prepared?
        var session: LockSession?
        /// Since when the work goes on.
        var leadsSince: ContinuousClock.Instant?

        mutating func end() async {
            if let connection { await LockSession.end(connection) }
            self = Held()
        }
    }

    /// Runs until told to stop, until the work returns, or, unless standing by, until the lock is not had.
    ///
    /// - Parameters:
    ///   - prepare: what each new session does before it asks for the lock.
    ///   - lead: the work, in the session that holds the lock; returns soon after `stop` is set.
    /// - Throws: what failed, unless the mode is ``LeadershipMode/standby(interval:)`` and trying again may help.
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
                // Nothing but a failure is answered by giving up.
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

    /// As ``run(prepare:lead:)``, with nothing to prepare.
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
            // A standby server grants the lock as well, and behind a pooler it is somebody else's.
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

    /// A server that does not answer must not keep the process from ending.
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

    /// - Returns: nil when another session has the lock.
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
