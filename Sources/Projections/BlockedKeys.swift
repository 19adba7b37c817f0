/// The keys that may be blocked: all that a parked event of our partitions blocks, and maybe others. A key that is not
/// among them need not be looked up.
///
/// Learnt whenever partitions come, before an event of theirs is applied. From then on only the partition's owner
/// blocks a key of it, and adds it here; whoever retries may free one at any time, so some stay here that are free by
/// now.
struct BlockedKeys: Sendable, Equatable {
    /// Keys that are known by name, at most. When more are blocked, any key may be.
    static let limit = 20_000
    /// Bytes of a key that stands in `parked_events` as it is; of a longer one, there is a hash.
    private static let plainBytes = 255

    private var keys: Set<SequenceKey> = []
    /// There are too many.
    private var mayBeAny = false

    init() {}

    /// - Parameter stored: keys of `parked_events`, at most one more than ``limit``: that says that there are too many.
    init(stored: some Sequence<SequenceKey>) {
        insert(stored)
    }

    var isEmpty: Bool { keys.isEmpty && !mayBeAny }

    func mayContain(_ key: SequenceKey) -> Bool {
        mayBeAny || keys.contains(key) || key.key.count > Self.plainBytes && !keys.isEmpty
    }

    mutating func insert(_ more: some Sequence<SequenceKey>) {
        guard !mayBeAny else { return }
        keys.formUnion(more)
        if keys.count > Self.limit { (keys, mayBeAny) = ([], true) }
    }

    /// So many keys of the whole projection are blocked: whether it is time to learn anew which.
    func isOutdated(blocked count: Int64) -> Bool {
        mayBeAny ? count <= Int64(Self.limit) : count * 2 < Int64(keys.count)
    }
}
