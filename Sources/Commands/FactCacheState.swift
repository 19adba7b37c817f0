/// The facts of one kind that a process keeps in memory: at most so many, each for a limited time.
///
/// A pure value: it reads no clock. Facts that are used stay longer than others. The number is kept small by two
/// generations: a new fact, or one that is used, goes to the young ones. When those have half of the number, they
/// become the old ones, and the old ones of before are dropped.
struct FactCacheState<Value: Sendable>: Sendable {
    private struct Entry {
        let value: Value
        let end: ContinuousClock.Instant
    }

    private let halfLimit: Int
    private let keptFor: Duration
    private var young: [String: Entry] = [:]
    private var old: [String: Entry] = [:]
    /// Whether changes by others are heard. While they are not, nothing is kept.
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

    /// What was kept before the changes of others are heard again may have changed meanwhile.
    mutating func listening(_ isListening: Bool) {
        self.isListening = isListening
        if !isListening { removeAll() }
    }
}
