/// Caches answers for equal requests. An answer is valid for a limited time, and only until a read model of the query
/// changes. This is a pure value that reads no clock.
public struct QueryCache: Sendable {
    public typealias Instant = ContinuousClock.Instant

    /// The state of a query's read models: a number for each that changes with its commits.
    public typealias Generation = [UInt64]

    private struct Entry: Sendable {
        let page: QueryPage
        let expires: Instant
        let generation: Generation
    }

    private var entries: [String: Entry] = [:]
    private var bytes = 0
    private let maxBytes: Int

    /// - Parameter maxBytes: maximum size of all answers. If it is exceeded, the answers that expire first are removed.
    public init(maxBytes: Int) {
        self.maxBytes = maxBytes
    }

    /// The number of answers.
    public var count: Int { entries.count }

    /// - Returns: nil if there is no valid answer.
    public mutating func page(_ key: String, _ generation: Generation, at now: Instant) -> QueryPage? {
        guard let entry = entries[key] else { return nil }
        guard entry.expires > now, entry.generation == generation else {
            remove(key)
            return nil
        }
        return entry.page
    }

    /// Stores an answer.
    ///
    /// - Parameter generation: the state before the answer was read, so later commits invalidate the answer.
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

    /// Removes all answers, for example when queries have changed.
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
