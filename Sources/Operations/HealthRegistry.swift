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

    /// One thing that a report is about.
    public struct Check: Sendable, Hashable {
        public enum Kind: String, Sendable {
            case loop, partition, condition
        }

        public let name: String
        public let kind: Kind
        /// Why it fails, for people; nil when it passes.
        public let reason: String?

        public init(name: String, kind: Kind, reason: String?) {
            self.name = name
            self.kind = kind
            self.reason = reason
        }
    }

    /// One answer of ``HealthRegistry/live()``, ``HealthRegistry/ready()`` or ``HealthRegistry/startup()``.
    public struct Report: Sendable, Hashable {
        /// In a stable order.
        public let checks: [Check]

        public var isGood: Bool { checks.allSatisfy { $0.reason == nil } }
        /// What is not as it should be, one short text each.
        public var problems: [String] {
            checks.compactMap { check in check.reason.map { "\(check.name): \($0)" } }
        }
    }

    private struct State {
        var watches: [String: (subject: Subject, watch: ProgressWatch)] = [:]
        /// Why conditions do not hold; nil for those that do.
        var conditions: [String: String?] = [:]
        var hasBegun = false
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
        state.withLock { $0.conditions[condition] = .some(reason) }
    }

    /// A condition of being ready holds.
    public func ready(_ condition: String) {
        state.withLock { $0.conditions[condition] = .some(nil) }
    }

    /// There is no such condition any more.
    public func forget(_ condition: String) {
        state.withLock { _ = $0.conditions.removeValue(forKey: condition) }
    }

    /// The process has begun to work: it has tried to reach its servers, whether or not they answer.
    public func begun() {
        state.withLock { $0.hasBegun = true }
    }

    // MARK: answers

    /// Whether all loops turn.
    public func live() -> Report {
        let work = state.withLock { $0.work }
        return Report(checks: checks(of: .loop) + (work?.live().checks ?? []))
    }

    /// Whether all conditions hold and no partition stands still.
    public func ready() -> Report {
        let (conditions, work) = state.withLock { ($0.conditions, $0.work) }
        let own = conditions.sorted { $0.key < $1.key }.map {
            Check(name: $0.key, kind: .condition, reason: $0.value)
        }
        return Report(checks: own + checks(of: .partition) + (work?.ready().checks ?? []))
    }

    /// Whether the process has begun to work. Once it has, this stays so.
    public func startup() -> Report {
        let hasBegun = state.withLock { $0.hasBegun }
        let reason = hasBegun ? nil : "has not tried to reach its database yet"
        return Report(checks: [Check(name: "start", kind: .condition, reason: reason)])
    }

    private func checks(of subject: Subject) -> [Check] {
        let now = now()
        return state.withLock { $0.watches }
            .filter { $0.value.subject == subject }
            .sorted { $0.key < $1.key }
            .map { name, entry in
                let reason = entry.watch.stalled(now: now).map { "no progress for \($0.components.seconds) s" }
                return Check(name: name, kind: subject == .loop ? .loop : .partition, reason: reason)
            }
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
