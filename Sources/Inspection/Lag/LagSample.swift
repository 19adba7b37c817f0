/// The position of a consumer in a partition at one time.
public struct LagSample: Sendable, Hashable {
    /// The time of the sample, in milliseconds since 1970.
    public let atMs: Int64
    /// The next offset that the consumer will read.
    public let next: Int64
    /// The offset after the last readable record.
    public let end: Int64
    /// The timestamp of the first unread record, in milliseconds since 1970; nil if there is none or it has no
    /// timestamp.
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

    /// The number of unread offsets. In topics with transactions or compaction, some offsets have no record.
    public var lag: Int64 { max(end - next, 0) }
    /// The age of the first unread record, in milliseconds; 0 if nothing is unread, nil if it is unknown.
    public var behindMs: Int64? { lag == 0 ? 0 : oldestUnreadMs.map { max(atMs - $0, 0) } }
}
