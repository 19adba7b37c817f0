internal import StreamCore

/// The keys that may be blocked. It contains every key that a parked event of the owned partitions blocks, and possibly
/// others. A key that is not in it needs no lookup.
///
/// It is loaded whenever partitions are assigned, before an event of theirs is applied. From then on only the owner of
/// a partition blocks keys of it, and adds them here. A retry may unblock a key at any time, so some keys stay in the
/// set although they are free. The set contains the hashes of keys, because each record's key is looked for: a key with
/// the hash of a blocked one is looked up without need.
struct BlockedKeys: Sendable, Equatable {
    /// The maximum number of keys in the set. If more keys are blocked, any key counts as possibly blocked.
    static let limit = 20_000
    /// The maximum length of a key that `parked_events` stores unchanged, in bytes. For a longer key it stores a hash.
    private static let plainBytes = 255

    private var keys: Set<KeyHash> = []
    /// Whether there are too many blocked keys for the set.
    private var mayBeAny = false

    init() {}

    /// - Parameter stored: keys from `parked_events`, at most ``limit`` + 1. That number means that there are too many.
    init(stored: some Sequence<SequenceKey>) {
        insert(stored)
    }

    var isEmpty: Bool { keys.isEmpty && !mayBeAny }

    func mayContain(_ key: SequenceKey) -> Bool { mayContain(KeyHash(key), length: key.key.count) }

    /// - Parameter length: the length of the key in bytes.
    func mayContain(_ key: KeyHash, length: Int) -> Bool {
        mayBeAny || keys.contains(key) || length > Self.plainBytes && !keys.isEmpty
    }

    mutating func insert(_ more: some Sequence<SequenceKey>) {
        guard !mayBeAny else { return }
        for key in more { keys.insert(KeyHash(key)) }
        if keys.count > Self.limit { (keys, mayBeAny) = ([], true) }
    }

    /// Whether the set should be loaded again.
    ///
    /// - Parameter count: the number of blocked keys of the whole projection.
    func isOutdated(blocked count: Int64) -> Bool {
        mayBeAny ? count <= Int64(Self.limit) : count * 2 < Int64(keys.count)
    }
}

/// The hash of a key and of its topic. It costs a tenth of a ``SequenceKey``, which is a copy of the key.
struct KeyHash: Hashable, Sendable {
    private let value: UInt64

    init(_ key: SequenceKey) {
        self.init(topic: FNV1a.hash(key.topic), key: key.key.span)
    }

    /// - Parameter topic: the hash of the topic.
    init(topic: UInt64, key: Span<UInt8>) {
        var hash = FNV1a(seed: topic)
        for index in key.indices { hash.combine(key[index]) }
        value = hash.value
    }
}
