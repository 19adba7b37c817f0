public import StreamCore

/// How far consumers are behind, at an instant.
public struct LagReport: Sendable {
    /// One partition of one consumer.
    public struct Row: Sendable {
        /// The projection's name, or the consumer group's.
        public let consumer: String
        /// The projection's version; nil for a consumer group.
        public let version: Int?
        public let partition: TopicPartition
        public let next: Int64
        public let end: Int64?
        /// Unread offsets; nil while Kafka does not say where the partition ends.
        public let lag: Int64?
        /// How old the first unread record is.
        public let secondsBehind: Double?
        public let readPerSecond: Double?
        public let writtenPerSecond: Double?
        /// Until everything is read, as things go; nil when that will not be, or is not known.
        public let secondsToCatchUp: Double?
        /// nil while Kafka does not say where the partition ends.
        public let state: LagState?
        /// Until the broker removes unread records, as things go.
        public let secondsUntilRemoval: Double?
        /// Offsets that the broker has removed before they were read.
        public let removedUnread: Int64
    }

    /// By consumer and version, then partition.
    public let rows: [Row]

    public init(rows: [Row]) {
        self.rows = rows
    }

    /// The sum over all partitions.
    public var totalLag: Int64 { rows.reduce(0) { $0 + ($1.lag ?? 0) } }
    public var maxSecondsBehind: Double { rows.compactMap(\.secondsBehind).max() ?? 0 }
    /// One finding a consumer and version.
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
                return Finding(.warning, "paused: \(behind)", remedy: "millrace resume", check: name)
            case .warn: return Finding(.warning, "lag grows: \(behind)", check: name)
            case .stall: return Finding(.critical, "no progress: \(behind)", remedy: "millrace lag", check: name)
            case .stop: return Finding(.critical, "does not run: \(behind)", remedy: "start it", check: name)
            }
        }
    }

    /// The worst.
    public var state: LagState { rows.compactMap(\.state).max() ?? .ok }
}
