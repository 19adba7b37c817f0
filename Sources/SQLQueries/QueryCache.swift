/// Answers that are kept for others who ask the same, each for a time, and no longer than until a read model that the
/// query reads has changed: a pure value that reads no clock.
public struct QueryCache: Sendable {
    public typealias Instant = ContinuousClock.Instant

    /// What the read models of a query were at: a number for each that changes when it commits.
    public typealias Generation = [UInt64]

    private struct Entry: Sendable {
        let page: QueryPage
        let expires: Instant
        let generation: Generation
    }

    private var entries: [String: Entry] = [:]
    private var bytes = 0
    private let maxBytes: Int

    /// - Parameter maxBytes: of all answers together; the first to expire leave first.
    public init(maxBytes: Int) {
        self.maxBytes = maxBytes
    }

    /// How many answers there are.
    public var count: Int { entries.count }

    /// - Returns: nil when there is none that is still good.
    public mutating func page(_ key: String, _ generation: Generation, at now: Instant) -> QueryPage? {
        guard let entry = entries[key] else { return nil }
        guard entry.expires > now, entry.generation == generation else {
            remove(key)
            return nil
        }
        return entry.page
    }

    /// Keeps an answer.
    ///
    /// - Parameter generation: of before the answer was read; what was committed meanwhile makes it worthless.
    public mutating func keep(
        _ page: QueryPage, _ key: String, _ generation: Generation, until expires: Instant, at now: Instant
    ) {
        let size = Self.size(key, page)
        guard size <= maxBytes / 8 else { return }
        remove(key)
        if bytes + size > maxBytes {
            for (key, entry) in entries where entry.expires <= now { remove(key) }
        }
        while bytes + size > maxBytes, let first = entries.min(by: { $0.value.expires < $1.value.expires }) {
            remove(first.key)
        }
        entries[key] = Entry(page: page, expires: expires, generation: generation)
        bytes += size
    }

    /// Forgets all, as when queries have changed.
    public mutating func removeAll() {
        entries = [:]
        bytes = 0
    }

    private mutating func remove(_ key: String) {
        guard let entry = entries.removeValue(forKey: key) else { return }
        bytes -= Self.size(key, entry.page)
    }

    private static func size(_ key: String, _ page: QueryPage) -> Int { key.utf8.count + page.json.count + 200 }
}
