/// The cached facts of one kind. The cache has a maximum size, and each fact a maximum age.
///
/// A pure value that reads no clock. Two generations limit the size. A fact that is added or used goes to the young
/// generation. When the young generation reaches half of the maximum, it replaces the old generation, whose facts are
/// dropped. So facts that are used stay longer than others.
struct FactCacheState<Value: Sendable>: Sendable {
    private struct Entry {
        let value: Value
        let end: ContinuousClock.Instant
    }

    private let halfLimit: Int
    private let keptFor: Duration
    private var young: [String: Entry] = [:]
    private var old: [String: Entry] = [:]
    /// Whether notifications of changes arrive. Otherwise nothing is cached.
    private(set) var isListening = false

    init(limit: Int, keptFor: Duration) {
        halfLimit = max(1, limit / 2)
        self.keptFor = keptFor
    }

    var count: Int { young.count + old.count }

    mutating func value(of key: String, at now: ContinuousClock.Instant) -> Value? {
        if let entry = young[key] {
            if entry.end > now { return entry.value }
            young[key] = nil
            return nil
        }
        guard let entry = old.removeValue(forKey: key), entry.end > now else { return nil }
        insert(entry, key)
        return entry.value
    }

    mutating func keep(_ value: Value, of key: String, at now: ContinuousClock.Instant) {
        guard isListening else { return }
        old[key] = nil
        insert(Entry(value: value, end: now + keptFor), key)
    }

    private mutating func insert(_ entry: Entry, _ key: String) {
        if young.count >= halfLimit, young[key] == nil {
            old = young
            young = [:]
        }
        young[key] = entry
    }

    mutating func remove(_ key: String) {
        young[key] = nil
        old[key] = nil
    }

    mutating func removeAll() {
        young = [:]
        old = [:]
    }

    /// Sets whether notifications arrive, and removes all facts, because they may have changed while none arrived.
    mutating func listening(_ isListening: Bool) {
        self.isListening = isListening
        if !isListening { removeAll() }
    }
}
