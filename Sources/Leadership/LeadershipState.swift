internal import StreamCore

/// The way in which a process becomes the leader.
public enum LeadershipMode: Sendable, Hashable {
    /// Take the lock if it is free. The caller decides whether to try again.
    case ifFree
    /// Wait in the lock's queue until the leader hands it over. The caller decides whether to try again.
    case whenHandedOver
    /// Try at this interval, varied by a quarter, until the lock is free. After a failure start again.
    case standby(interval: Duration)
}

/// Decides how a process becomes the leader, and what it does after each result.
///
/// This is a pure value: it neither sleeps nor reads a clock. ``LeaderElection`` runs its actions on PostgreSQL.
struct LeadershipState: Sendable {
    /// The action to take now.
    enum Action: Equatable {
        case connect
        case tryLock
        case waitForLock
        case lead
        /// Keep the session, and try the lock again after this time.
        case standBy(Duration)
        /// Close the session, and start again after this time.
        case pause(Duration)
        /// Hand over the lock if it is held, and end.
        case finish
        /// Like `finish`, but the caller receives the failure.
        case giveUp
    }

    /// The result of the last action.
    enum Event: Equatable {
        /// There was no action yet, or the pause has ended.
        case begun
        /// The session is connected.
        case connected
        /// The session has the lock.
        case lockTaken
        /// Another session has it.
        case lockRefused(jitter: Double)
        /// The standby interval has ended.
        case waited
        /// The leader's work has ended.
        case workEnded
        /// - isPermanent: whether another attempt cannot succeed.
        /// - led: duration of the work before it failed.
        case failed(isPermanent: Bool, led: Duration)
        /// The process was told to stop.
        case stopped
    }

    /// Duration of the work after which a failure counts as the first one again.
    static let steady = Duration.seconds(60)

    private let mode: LeadershipMode
    private var backoff = Backoff(initial: .milliseconds(100), ceiling: .seconds(5))
    /// Number of refusals of the lock since this process was the leader, or since its start.
    private(set) var refusals = 0

    init(_ mode: LeadershipMode) {
        self.mode = mode
    }

    mutating func handle(_ event: Event) -> Action {
        switch event {
        case .begun: .connect
        case .connected, .waited: mode == .whenHandedOver ? .waitForLock : .tryLock
        case .lockTaken: take()
        case .lockRefused(let jitter): refuse(jitter)
        case .workEnded, .stopped: .finish
        case .failed(let isPermanent, let led): fail(isPermanent, led)
        }
    }

    private mutating func take() -> Action {
        refusals = 0
        return .lead
    }

    private mutating func refuse(_ jitter: Double) -> Action {
        guard case .standby(let interval) = mode else { return .finish }
        // The database answers.
        backoff.reset()
        refusals += 1
        return .standBy(interval * jitter)
    }

    private mutating func fail(_ isPermanent: Bool, _ led: Duration) -> Action {
        guard case .standby = mode, !isPermanent else { return .giveUp }
        refusals = 0
        if led >= Self.steady { backoff.reset() }
        return .pause(backoff.next())
    }
}
