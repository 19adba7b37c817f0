internal import Synchronization

/// What the process knows about its own health: a watch for every loop and partition, and the conditions of being
/// ready.
///
/// *Live* means that all loops turn; a restart would help a loop that does not. It never depends on a broker or a
/// database. *Ready* means that every condition that was declared holds and that no partition's work stands still, for
/// whatever reason: an operator should look, a restart need not help.
public final class HealthRegistry: Sendable {
    /// What a watch is about.
    public enum Subject: Hashable, Sendable {
        /// A loop of ours, which turns whatever happens outside: counts for being live.
        case loop
        /// A partition or a shard, whose work may wait for others: counts for being ready.
        case partition
    }

    /// One answer of ``HealthRegistry/live()`` or ``HealthRegistry/ready()``.
    public struct Report: Sendable, Hashable {
        public let isGood: Bool
        /// What is not as it should be, one short text each, in a stable order.
        public let problems: [String]
    }

    private struct State {
        var watches: [String: (subject: Subject, watch: ProgressWatch)] = [:]
        var unmet: [String: String] = [:]
        var work: HealthRegistry?
    }

    private let state = Mutex(State())
    private let now: @Sendable () -> Duration

    /// - Parameter now: a clock that never goes back; the default counts from the registry's making.
    public init(now: (@Sendable () -> Duration)? = nil) {
        if let now {
            self.now = now
        } else {
            let start = ContinuousClock.now
            self.now = { ContinuousClock.now - start }
        }
    }

    /// A registry for work that may fail and begin anew: its answers are part of this one's until the next call, with
    /// which all that the work before has left is forgotten.
    public func beginWork() -> HealthRegistry {
        let work = HealthRegistry(now: now)
        state.withLock { $0.work = work }
        return work
    }

    /// The work has ended, and its watches with it.
    public func endWork() {
        state.withLock { $0.work = nil }
    }

    // MARK: loops

    /// Begins to watch a loop or a partition. A watch of the same name is replaced.
    ///
    /// - Parameter limit: how long its work may stand still.
    public func watch(_ subject: Subject, _ name: String, limit: Duration) -> WatchHandle {
        let watch = ProgressWatch(limit: limit, now: now())
        state.withLock { $0.watches[name] = (subject, watch) }
        return WatchHandle(registry: self, name: name)
    }

    fileprivate func update(_ name: String, _ change: (inout ProgressWatch, Duration) -> Void) {
        let now = now()
        state.withLock { state in
            guard var entry = state.watches[name] else { return }
            change(&entry.watch, now)
            state.watches[name] = entry
        }
    }

    fileprivate func remove(_ name: String) {
        state.withLock { $0.watches[name] = nil }
    }

    // MARK: conditions

    /// A condition of being ready does not hold (yet).
    public func notReady(_ condition: String, because reason: String) {
        state.withLock { $0.unmet[condition] = reason }
    }

    /// A condition of being ready holds.
    public func ready(_ condition: String) {
        state.withLock { $0.unmet[condition] = nil }
    }

    // MARK: answers

    /// Whether all loops turn.
    public func live() -> Report {
        let work = state.withLock { $0.work }
        let stalled = stalled(.loop) + (work?.live().problems ?? [])
        return Report(isGood: stalled.isEmpty, problems: stalled)
    }

    /// Whether all conditions hold and no partition stands still.
    public func ready() -> Report {
        let (conditions, work) = state.withLock { ($0.unmet, $0.work) }
        let unmet = conditions.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        let problems = unmet + stalled(.partition) + (work?.ready().problems ?? [])
        return Report(isGood: problems.isEmpty, problems: problems)
    }

    private func stalled(_ subject: Subject) -> [String] {
        let now = now()
        return state.withLock { $0.watches }
            .filter { $0.value.subject == subject }
            .compactMap { name, entry in entry.watch.stalled(now: now).map { (name, $0) } }
            .sorted { $0.0 < $1.0 }
            .map { "\($0.0): no progress for \($0.1.components.seconds) s" }
    }
}

/// A loop's or a partition's own end of its watch.
public struct WatchHandle: Sendable {
    private let registry: HealthRegistry
    private let name: String

    fileprivate init(registry: HealthRegistry, name: String) {
        self.registry = registry
        self.name = name
    }

    /// See ``ProgressWatch/turned(to:now:)``.
    public func turned(to activity: ProgressWatch.Activity) {
        registry.update(name) { $0.turned(to: activity, now: $1) }
    }

    /// See ``ProgressWatch/progressed(now:)``.
    public func progressed() {
        registry.update(name) { $0.progressed(now: $1) }
    }

    /// The loop has ended or the partition was given away: it is no longer watched.
    public func end() {
        registry.remove(name)
    }
}
