internal import Metrics
internal import Synchronization

/// A fact that a process may cache in memory, so that not every command reads it from the database.
///
/// Three conditions make the cache safe:
///
/// (1) Rules only ask whether something exists, and a cached value only says that it does. A fact that is not cached is
/// read from the database.
///
/// (2) The read locks the row, and a writer that changes the fact locks it too. So a value is cached before the change
/// or read after it.
///
/// (3) Each transaction that changes a fact notifies all processes on the channel `millrace_facts`. The payload is the
/// schema, ``name`` and the key, separated by tabs; without the key it means all facts of that name. A command of this
/// process that changes a fact removes it from the cache at once.
///
/// So a cached fact is stale only after another process has changed it, until the notification arrives and for at most
/// `cachedFactS`.
public protocol CachedFact: Fact {
    /// The name in metrics and notifications, for example `customer`.
    static var name: String { get }

    /// Whether a value may be cached.
    static func isKept(_ value: Value) -> Bool
}

/// A cache without the type of its values.
protocol ClearableFactCache: AnyObject, Sendable {
    var name: String { get }
    func remove(_ key: String)
    func removeAll()
    func listening(_ isListening: Bool)
}

/// The cached facts of one kind.
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

    /// Caches a value that was read. The transaction that locked its row must still be open.
    func keep(_ value: F.Value, of key: String) {
        guard isKept(value) else { return }
        entries.record(
            state.withLock { state in
                state.keep(value, of: key, at: .now)
                return state.count
            })
    }

    /// Counts the facts that a transaction needed.
    ///
    /// - Parameter misses: the number of facts that it reads from the database. If there are none, a statement is
    ///   saved.
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

/// The cached facts of all kinds.
final class FactCaches: Sendable {
    private let caches: [ObjectIdentifier: any ClearableFactCache]
    private let isOn = Atomic(false)

    /// Whether notifications of changes arrive. Facts are cached only then.
    var isListening: Bool { isOn.load(ordering: .acquiring) }

    /// - Returns: nil if no facts are cached.
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

    /// - Returns: nil for a kind of fact that is not cached.
    func cache<F: Fact>(of _: F.Type) -> FactCache<F>? { caches[ObjectIdentifier(F.self)] as? FactCache<F> }

    /// Sets whether notifications of changes arrive.
    func listening(_ isListening: Bool) {
        for cache in caches.values { cache.listening(isListening) }
        isOn.store(isListening, ordering: .releasing)
    }

    /// Removes all facts, because the database may have lost some of them.
    func removeAll() {
        for cache in caches.values { cache.removeAll() }
    }

    /// Handles a notification of a change.
    ///
    /// - Parameters:
    ///   - text: schema, fact name and key, separated by tabs; without a key for all facts of that name.
    ///   - schema: the schema of this bus. Changes in other schemas are ignored.
    func changed(_ text: String, in schema: String) {
        let parts = text.split(separator: "\t", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 2, parts[0] == schema else { return }
        for cache in caches.values where cache.name == parts[1] {
            if parts.count == 3 { cache.remove(parts[2]) } else { cache.removeAll() }
        }
    }
}
