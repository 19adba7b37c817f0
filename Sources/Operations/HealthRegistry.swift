internal import Synchronization

/// The health of the process: a watch for each loop and partition, and conditions for readiness.
///
/// The process is *live* while all loops make progress. A restart helps a loop that does not. Liveness never depends on
/// a broker or a database. The process is *ready* while every declared condition holds and no partition is stalled, for
/// whatever reason. If it is not ready, an operator should look, and a restart may not help.
public final class HealthRegistry: Sendable {
    /// The kind of object that a watch observes.
    public enum Subject: Hashable, Sendable {
        /// A loop of this process that should make progress whatever happens outside. It counts for liveness.
        case loop
        /// A partition or a shard whose work may wait for other systems. It counts for readiness.
        case partition
    }

    /// One item of a report.
    public struct Check: Sendable, Hashable {
        public enum Kind: String, Sendable {
            case loop, partition, condition
        }

        public let name: String
        public let kind: Kind
        /// Why the check fails, for people; nil if it passes.
        public let reason: String?

        public init(name: String, kind: Kind, reason: String?) {
            self.name = name
            self.kind = kind
            self.reason = reason
        }
    }

    /// The result of ``HealthRegistry/live()``, ``HealthRegistry/ready()`` or ``HealthRegistry/startup()``.
    public struct Report: Sendable, Hashable {
        /// The checks in a stable order.
        public let checks: [Check]

        public var isGood: Bool { checks.allSatisfy { $0.reason == nil } }
        /// A short text for each failed check.
        public var problems: [String] {
            checks.compactMap { check in check.reason.map { "\(check.name): \($0)" } }
        }
    }

    private struct State {
        var watches: [String: (subject: Subject, watch: ProgressWatch)] = [:]
        /// Why a condition does not hold; nil if it holds.
        var conditions: [String: String?] = [:]
        var hasBegun = false
        var work: HealthRegistry?
    }

    private let state = Mutex(State())
    private let now: @Sendable () -> Duration

    /// - Parameter now: a monotonic clock. The default counts from the creation of the registry.
    public init(now: (@Sendable () -> Duration)? = nil) {
        if let now {
            self.now = now
        } else {
            let start = ContinuousClock.now
            self.now = { ContinuousClock.now - start }
        }
    }

    /// Creates a registry for work that may fail and start again. Its checks are included in this registry's reports
    /// until the next call, which discards it.
    public func beginWork() -> HealthRegistry {
        let work = HealthRegistry(now: now)
        state.withLock { $0.work = work }
        return work
    }

    /// Ends the work, and discards its registry.
    public func endWork() {
        state.withLock { $0.work = nil }
    }

    // MARK: loops

    /// Starts to watch a loop or a partition. It replaces a watch with the same name.
    ///
    /// - Parameters:
    ///   - subject: whether it is a loop or a partition.
    ///   - name: the name in reports.
    ///   - limit: the maximum time that work may make no progress.
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

    /// Declares a condition for readiness that does not hold (yet).
    ///
    /// - Parameters:
    ///   - condition: the name in reports.
    ///   - reason: why the condition does not hold, for people.
    public func notReady(_ condition: String, because reason: String) {
        state.withLock { $0.conditions[condition] = .some(reason) }
    }

    /// Declares that a condition for readiness holds.
    public func ready(_ condition: String) {
        state.withLock { $0.conditions[condition] = .some(nil) }
    }

    /// Removes a condition.
    public func forget(_ condition: String) {
        state.withLock { _ = $0.conditions.removeValue(forKey: condition) }
    }

    /// Reports that the process has begun to work: it has tried to reach its servers, whether or not they answered.
    public func begun() {
        state.withLock { $0.hasBegun = true }
    }

    // MARK: answers

    /// Whether all loops make progress.
    public func live() -> Report {
        let work = state.withLock { $0.work }
        return Report(checks: checks(of: .loop) + (work?.live().checks ?? []))
    }

    /// Whether all conditions hold and no partition is stalled.
    public func ready() -> Report {
        let (conditions, work) = state.withLock { ($0.conditions, $0.work) }
        let own = conditions.sorted { $0.key < $1.key }.map {
            Check(name: $0.key, kind: .condition, reason: $0.value)
        }
        return Report(checks: own + checks(of: .partition) + (work?.ready().checks ?? []))
    }

    /// Whether the process has begun to work. This stays true from then on.
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

/// The handle with which a loop or a partition reports its activity.
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

    /// Ends the watch, because the loop has ended or the partition was revoked.
    public func end() {
        registry.remove(name)
    }
}
