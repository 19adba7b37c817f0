internal import StreamCore

/// How a process becomes the leader.
public enum LeadershipMode: Sendable, Hashable {
    /// Take the lock if nobody has it. Whoever asked decides about another try.
    case ifFree
    /// Wait in the lock's queue until the leader hands it over. Whoever asked decides about another try.
    case whenHandedOver
    /// Try at this interval, give or take a quarter, until the lock is free; after a failure begin anew.
    case standby(interval: Duration)
}

/// What a process does to become the leader, and after whatever comes of it.
///
/// A pure value: it neither sleeps nor reads a clock. ``LeaderElection`` takes its actions to PostgreSQL.
struct LeadershipState: Sendable {
    /// What to do now.
    enum Action: Equatable {
        case connect
        case tryLock
        case waitForLock
        case lead
        /// Keep the session, and try the lock again after this time.
        case standBy(Duration)
        /// Without a session, and after this time anew.
        case pause(Duration)
        /// Hand over whatever is held, and end.
        case finish
        /// As `finish`; the failure is the caller's.
        case giveUp
    }

    /// What came of the last action.
    enum Event: Equatable {
        /// There was none yet, or the pause is over.
        case begun
        /// The session is there.
        case connected
        /// The session has the lock.
        case lockTaken
        /// Another session has it.
        case lockRefused(jitter: Double)
        /// The time as a standby is over.
        case waited
        /// The leader's work has come to its end.
        case workEnded
        /// - isPermanent: trying again is of no use.
        /// - led: how long the work went on before it failed.
        case failed(isPermanent: Bool, led: Duration)
        /// The process shall end.
        case stopped
    }

    /// Work that went on for so long shows that it can: what fails afterwards is tried again soon.
    static let steady = Duration.seconds(60)

    private let mode: LeadershipMode
    private var backoff = Backoff(initial: .milliseconds(100), ceiling: .seconds(5))
    /// How often the lock was refused since this process was the leader, or began.
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
