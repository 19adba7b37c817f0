public import StreamCore

/// The lag of consumers at one time.
public struct LagReport: Sendable {
    /// One partition of one consumer.
    public struct Row: Sendable {
        /// The name of the projection or the consumer group.
        public let consumer: String
        /// The projection's version; nil for a consumer group.
        public let version: Int?
        public let partition: TopicPartition
        public let next: Int64
        public let end: Int64?
        /// The number of unread offsets; nil if Kafka does not report the end of the partition.
        public let lag: Int64?
        /// The age of the first unread record.
        public let secondsBehind: Double?
        public let readPerSecond: Double?
        public let writtenPerSecond: Double?
        /// The time until everything is read, if the rates do not change; nil if that will not happen or is unknown.
        public let secondsToCatchUp: Double?
        /// nil if Kafka does not report the end of the partition.
        public let state: LagState?
        /// The time until the broker removes unread records, if the rates do not change; nil if that will not happen or
        /// is unknown.
        public let secondsUntilRemoval: Double?
        /// The number of offsets that the broker removed before they were read.
        public let removedUnread: Int64
    }

    /// The rows, ordered by consumer, version and partition.
    public let rows: [Row]

    public init(rows: [Row]) {
        self.rows = rows
    }

    /// The sum of the lag of all partitions.
    public var totalLag: Int64 { rows.reduce(0) { $0 + ($1.lag ?? 0) } }
    public var maxSecondsBehind: Double { rows.compactMap(\.secondsBehind).max() ?? 0 }
    /// One finding for each consumer and version.
    public var findings: [Finding] {
        if rows.isEmpty { return [Finding(.note, "no projection has an offset", check: "lag")] }
        let groups = Dictionary(grouping: rows) { "\($0.consumer)\($0.version.map { " v\($0)" } ?? "")" }
        return groups.sorted { $0.key < $1.key }.map { name, rows in
            let part = LagReport(rows: rows)
            let removed = rows.reduce(0) { $0 + $1.removedUnread }
            let unknown = rows.count { $0.state == nil }
            let behind = "\(part.totalLag) behind, \(Age.text(seconds: Int64(part.maxSecondsBehind))) at most"
            if removed > 0 {
                return Finding(.critical, "\(removed) offsets were removed before they were read", check: name)
            }
            if unknown > 0 { return Finding(.warning, "\(unknown) partitions are not in Kafka", check: name) }
            switch part.state {
            case .ok: return Finding(.ok, behind, check: name)
            case .paused:
                let consumer = rows.first.map { " \($0.consumer)" } ?? ""
                return Finding(.warning, "paused: \(behind)", remedy: "millrace resume\(consumer)", check: name)
            case .warn: return Finding(.warning, "lag grows: \(behind)", check: name)
            case .stall: return Finding(.critical, "no progress: \(behind)", remedy: "millrace lag", check: name)
            case .stop: return Finding(.critical, "does not run: \(behind)", remedy: "start it", check: name)
            }
        }
    }

    /// The worst state of all rows.
    public var state: LagState { rows.compactMap(\.state).max() ?? .ok }
}
