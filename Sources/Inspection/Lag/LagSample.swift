/// Where a consumer stood in a partition at an instant.
public struct LagSample: Sendable, Hashable {
    /// Milliseconds since 1970.
    public let atMs: Int64
    /// The next offset that the consumer will read.
    public let next: Int64
    /// Behind the last record that can be read.
    public let end: Int64
    /// The time of the first unread record, in milliseconds since 1970; nil when there is none, or it has no time.
    public let oldestUnreadMs: Int64?
    /// The time of the consumer's last progress, in milliseconds since 1970; nil if it is not recorded.
    public let movedAtMs: Int64?

    public init(atMs: Int64, next: Int64, end: Int64, oldestUnreadMs: Int64? = nil, movedAtMs: Int64? = nil) {
        self.atMs = atMs
        self.next = next
        self.end = end
        self.oldestUnreadMs = oldestUnreadMs
        self.movedAtMs = movedAtMs
    }

    /// Offsets that are unread. Of a topic with transactions or compaction, not all have a record.
    public var lag: Int64 { max(end - next, 0) }
    /// How old the first unread record is, in milliseconds; 0 when nothing is unread.
    public var behindMs: Int64? { lag == 0 ? 0 : oldestUnreadMs.map { max(atMs - $0, 0) } }
}
