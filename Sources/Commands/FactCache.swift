internal import Metrics
internal import Synchronization

/// A fact that a process may keep in memory, so that not each command asks the database for it.
///
/// Three conditions make it safe. Rules only ask whether something is there, and a kept value only ever says that it
/// is: what is not kept is asked of the database. The read locks the row, and who changes a fact locks it too, so that
/// a value is kept before the change or read after it. Each transaction that changes a fact tells all processes with
/// NOTIFY on the channel `millrace_facts`; the text is the schema, ``name`` and the key, separated by tabs, without the
/// key for all of them. A command of this process that changes a fact removes it from memory at once.
///
/// So what may be stale is a fact that another process has just changed: for the time that the notification takes, and
/// at most for `cachedFactS`.
public protocol CachedFact: Fact {
    /// For metrics and notifications: `customer`, for example.
    static var name: String { get }

    /// Whether a value may be kept.
    static func isKept(_ value: Value) -> Bool
}

/// What a cache is for those that do not know the type of its values.
protocol ClearableFactCache: AnyObject, Sendable {
    var name: String { get }
    func remove(_ key: String)
    func removeAll()
    func listening(_ isListening: Bool)
}

/// The kept facts of one kind.
final class FactCache<F: Fact>: ClearableFactCache {
    let name: String
    private let isKept: @Sendable (F.Value) -> Bool
    private let state: Mutex<FactCacheState<F.Value>>
    private let hits: Counter
    private let misses: Counter
    private let savedReads: Counter
    private let removals: Counter
    private let entries: Gauge

    private init(
        _ name: String, limit: Int, keptFor: Duration, isKept: @escaping @Sendable (F.Value) -> Bool
    ) {
        self.name = name
        self.isKept = isKept
        state = Mutex(FactCacheState(limit: limit, keptFor: keptFor))
        let label = "millrace_command_fact_lookups_total"
        hits = Counter(label: label, dimensions: [("fact", name), ("result", "hit")])
        misses = Counter(label: label, dimensions: [("fact", name), ("result", "miss")])
        savedReads = Counter(label: "millrace_command_fact_reads_saved_total", dimensions: [("fact", name)])
        removals = Counter(label: "millrace_command_fact_removals_total", dimensions: [("fact", name)])
        entries = Gauge(label: "millrace_command_facts_kept", dimensions: [("fact", name)])
    }

    func value(of key: String) -> F.Value? {
        state.withLock { $0.value(of: key, at: .now) }
    }

    /// Keeps a value that was read, as long as the transaction that has locked it is open.
    func keep(_ value: F.Value, of key: String) {
        guard isKept(value) else { return }
        entries.record(
            state.withLock { state in
                state.keep(value, of: key, at: .now)
                return state.count
            })
    }

    /// A transaction has looked for facts.
    ///
    /// - Parameter misses: how many of them it asks the database for; with none, a statement is saved.
    func looked(hits: Int, misses: Int) {
        if hits > 0 { self.hits.increment(by: hits) }
        if misses > 0 { self.misses.increment(by: misses) }
        if hits > 0 && misses == 0 { savedReads.increment() }
    }

    func remove(_ key: String) {
        removals.increment()
        clear { $0.remove(key) }
    }

    func removeAll() {
        removals.increment()
        clear { $0.removeAll() }
    }

    func listening(_ isListening: Bool) {
        clear { $0.listening(isListening) }
    }

    private func clear(_ body: (inout FactCacheState<F.Value>) -> Void) {
        let count = state.withLock { state in
            body(&state)
            return state.count
        }
        entries.record(count)
    }
}

extension FactCache where F: CachedFact {
    convenience init(limit: Int, keptFor: Duration) {
        self.init(F.name, limit: limit, keptFor: keptFor) { F.isKept($0) }
    }
}

/// The kept facts of all kinds.
final class FactCaches: Sendable {
    private let caches: [ObjectIdentifier: any ClearableFactCache]
    private let isOn = Atomic(false)

    /// Whether changes by others are heard, so that facts are kept.
    var isListening: Bool { isOn.load(ordering: .acquiring) }

    /// - Returns: nil if nothing is kept.
    init?(_ facts: [any CachedFact.Type], _ configuration: CommandBusConfiguration) {
        if facts.isEmpty || configuration.cachedFacts == 0 { return nil }
        var caches: [ObjectIdentifier: any ClearableFactCache] = [:]
        for fact in facts where caches[ObjectIdentifier(fact)] == nil {
            caches[ObjectIdentifier(fact)] = Self.cache(of: fact, configuration)
        }
        self.caches = caches
    }

    private static func cache<F: CachedFact>(
        of _: F.Type, _ configuration: CommandBusConfiguration
    ) -> any ClearableFactCache {
        FactCache<F>(limit: configuration.cachedFacts, keptFor: .seconds(configuration.cachedFactS))
    }

    /// - Returns: nil for a fact that is not kept.
    func cache<F: Fact>(of _: F.Type) -> FactCache<F>? { caches[ObjectIdentifier(F.self)] as? FactCache<F> }

    /// Whether changes by others are heard from now on.
    func listening(_ isListening: Bool) {
        for cache in caches.values { cache.listening(isListening) }
        isOn.store(isListening, ordering: .releasing)
    }

    /// Another session has told of a change.
    ///
    /// - Parameters:
    ///   - text: schema, fact and key, separated by tabs; without the key for all.
    ///   - schema: the own one; changes in others are not ours.
    func changed(_ text: String, in schema: String) {
        let parts = text.split(separator: "\t", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 2, parts[0] == schema else { return }
        for cache in caches.values where cache.name == parts[1] {
            if parts.count == 3 { cache.remove(parts[2]) } else { cache.removeAll() }
        }
    }
}
