internal import RequestValues
internal import StreamCore

/// Computes the state of the pipeline from consecutive readings. This is a pure value that reads no clock.
///
/// *As of*: each reading of the partitions' end offsets is kept with its time. When a projection has passed all of
/// these offsets, it shows everything that was in Kafka at that time. So the age of a read model is known without
/// reading any record.
struct PipelineTracker {
    /// The names of the read models that this service reads; nil for all read models of the database.
    private let readModels: Set<String>?

    private var milestones: [EndReading] = []
    private var projections: [ProjectionID: Projection] = [:]
    private var published = RateMeter()
    /// The last end offsets; nil before the first reading.
    private var ends: EndReading?

    /// - Parameter readModels: the names of the read models that this service reads; nil for all of the database.
    init(of readModels: Set<String>?) {
        self.readModels = readModels
    }

    private struct Projection {
        var reading: ProjectionReading
        var asOf: Timestamp?
        var applied = RateMeter()
        /// The time at which each partition's offset last changed, or was first seen.
        var movedAt: [TopicPartition: Timestamp] = [:]
    }

    /// Number of readings that may be kept for projections that are behind. If there are more, some are dropped. After
    /// that there are fewer, even for a lag of years.
    private static let milestoneLimit = 512
    /// Maximum age of a live projection, in microseconds.
    private static let liveWithin: Int64 = 5_000_000
    /// Time after which a partition with unread records and without progress counts as stopped, in microseconds.
    private static let stoppedAfter: Int64 = 20_000_000
    /// Time for which readings that all projections have passed are kept, in microseconds.
    private static let milestonesCountFor: Int64 = 60_000_000
    /// Maximum age of end offsets that are used, in microseconds.
    private static let endsCountFor: Int64 = 15_000_000

    // MARK: readings

    mutating func note(_ reading: EndReading) {
        ends = reading
        milestones.append(reading)
        published.note(reading.ends.filter { isOfReadModel($0.key) }, at: reading.at)
        if milestones.count > Self.milestoneLimit { thinOut(at: reading.at) }
    }

    /// Drops readings. The distance between the kept readings grows with their age, so the error of a lag is at most
    /// about a thirtieth of the lag.
    private mutating func thinOut(at now: Timestamp) {
        var kept: [EndReading] = []
        for (index, milestone) in milestones.enumerated() {
            let isEnd = index == 0 || index == milestones.count - 1
            if let last = kept.last, !isEnd {
                let gap = milestones[index + 1].at.microseconds - last.at.microseconds
                if gap <= (now.microseconds - milestone.at.microseconds) / 30 { continue }
            }
            kept.append(milestone)
        }
        milestones = kept
    }

    private func isOfReadModel(_ partition: TopicPartition) -> Bool {
        projections.contains { isReadModel($0.key.name) && $0.value.reading.next[partition] != nil }
    }

    private func isReadModel(_ name: String) -> Bool { readModels?.contains(name) ?? true }

    mutating func note(_ readings: [ProjectionReading], at now: Timestamp) {
        var known: [ProjectionID: Projection] = [:]
        for reading in readings {
            var projection = projections[reading.id] ?? Projection(reading: reading)
            // The database has lost what it had shown: it failed over, or a backup was restored.
            if Self.wentBack(projection.reading, reading) { projection.asOf = nil }
            for (partition, next) in reading.next where projection.reading.next[partition] != next {
                projection.movedAt[partition] = now
            }
            for partition in reading.next.keys where projection.movedAt[partition] == nil {
                projection.movedAt[partition] = now
            }
            projection.reading = reading
            projection.applied.note(reading.next, at: now)
            let passed = milestones.last { Self.hasPassed($0, reading) }
            projection.asOf = [projection.asOf, passed?.at].compactMap(\.self).max()
            known[reading.id] = projection
        }
        projections = known
        // A reading that all projections have passed is needed again only if one of them goes back.
        let passed = known.values.compactMap(\.asOf)
        if passed.count == known.count, let oldest = passed.min() {
            milestones.removeAll { oldest.microseconds - $0.at.microseconds > Self.milestonesCountFor }
        }
    }

    private static func wentBack(_ last: ProjectionReading, _ reading: ProjectionReading) -> Bool {
        reading.next.contains { partition, next in last.next[partition].map { next < $0 } ?? false }
    }

    private static func hasPassed(_ milestone: EndReading, _ reading: ProjectionReading) -> Bool {
        if reading.next.isEmpty { return false }
        return reading.next.allSatisfy { partition, next in milestone.ends[partition].map { next >= $0 } ?? false }
    }

    // MARK: results

    /// The state of one projection.
    struct Report {
        let name: String
        let version: Int32
        let state: State
        let asOf: Timestamp?
        let lagRecords: Int64?
        let lagSeconds: Double?
        let eventsPerSecond: Double
        let partitions: [Partition]
    }

    enum State: String {
        case live, behind, stopped, unknown
    }

    struct Partition {
        let partition: TopicPartition
        let next: Int64
        let end: Int64?
        let state: State
        var lag: Int64? { end.map { max($0 - next, 0) } }
    }

    func reports(at now: Timestamp) -> [Report] {
        projections.values.sorted { ($0.reading.name, $0.reading.version) < ($1.reading.name, $1.reading.version) }
            .map { report($0, now) }
    }

    private func report(_ projection: Projection, _ now: Timestamp) -> Report {
        let current = ends.flatMap { now.microseconds - $0.at.microseconds <= Self.endsCountFor ? $0.ends : nil }
        let age = projection.asOf.map { max(now.microseconds - $0.microseconds, 0) }
        let isRecent = age.map { $0 <= Self.liveWithin } ?? false
        let partitions = projection.reading.next.sorted { $0.key < $1.key }.map { partition, next in
            // The ends are a little older than the offsets. An offset cannot be beyond the real end.
            let end = current?[partition].map { max($0, next) }
            let movedAt = projection.movedAt[partition] ?? now
            let hasStopped = now.microseconds - movedAt.microseconds > Self.stoppedAfter
            let state: State =
                switch end {
                case nil: .unknown
                case .some(let end) where end <= next: .live
                default: hasStopped ? .stopped : isRecent ? .live : .behind
                }
            return Partition(partition: partition, next: next, end: end, state: state)
        }
        let isKnown = !partitions.isEmpty && partitions.allSatisfy { $0.end != nil }
        let lag = isKnown ? partitions.reduce(0) { $0 + ($1.lag ?? 0) } : nil
        let states = Set(partitions.map(\.state))
        let state: State =
            !isKnown
            ? .unknown
            : states.contains(.stopped) ? .stopped : states.contains(.behind) ? .behind : .live
        return Report(
            name: projection.reading.name, version: projection.reading.version, state: state, asOf: projection.asOf,
            lagRecords: lag, lagSeconds: lag == 0 ? 0 : lag == nil ? nil : age.map { Double($0) / 1_000_000 },
            eventsPerSecond: projection.applied.perSecond ?? 0, partitions: partitions)
    }

    /// The time up to which the read models show everything. As long as no end offsets were passed, it is the time of
    /// their last commit.
    ///
    /// - Parameter names: the read models; nil for those that this service reads. The one that is furthest behind
    ///   counts.
    func asOf(_ names: Set<String>? = nil) -> Timestamp? {
        let counted = projections.values.filter { projection in
            let name = projection.reading.name
            return !projection.reading.next.isEmpty && (names.map { $0.contains(name) } ?? isReadModel(name))
        }
        // While a new version is built, it has a higher number than the live one.
        let live = Dictionary(grouping: counted, by: \.reading.name)
            .compactMap { $0.value.min { $0.reading.version < $1.reading.version } }
        return live.compactMap { $0.asOf ?? $0.reading.committedAt }.min()
    }

    /// The same; nil if any of these read models was never seen.
    func asOfAll(_ names: Set<String>) -> Timestamp? {
        let known = Set(projections.values.filter { !$0.reading.next.isEmpty }.map(\.reading.name))
        return names.isSubset(of: known) ? asOf(names) : nil
    }

    /// A number that changes when a version of the read model commits.
    func generation(of name: String) -> UInt64 {
        var hash = StableHash()
        for projection in projections.values.filter({ $0.reading.name == name })
            .sorted(by: { $0.reading.version < $1.reading.version })
        {
            hash.combine("\(projection.reading.version) \(projection.reading.committedAt?.microseconds ?? 0)")
            for (partition, next) in projection.reading.next.sorted(by: { $0.key < $1.key }) {
                hash.combine("\(partition.topic) \(partition.partition) \(next)")
            }
        }
        return hash.value
    }

    /// Events per second that are written to Kafka.
    var inPerSecond: Double? { ends == nil ? nil : published.perSecond }

    /// Events per second that the slowest read model applies.
    var outPerSecond: Double? {
        projections.values.filter { isReadModel($0.reading.name) && !$0.reading.next.isEmpty }
            .compactMap(\.applied.perSecond).min()
    }
}

/// Computes how fast offsets grow, over the last few seconds.
struct RateMeter {
    private var samples: [(at: Timestamp, offsets: [TopicPartition: Int64])] = []
    private static let spanMicroseconds: Int64 = 10_000_000

    mutating func note(_ offsets: [TopicPartition: Int64], at now: Timestamp) {
        samples.append((now, offsets))
        samples.removeAll { now.microseconds - $0.at.microseconds > Self.spanMicroseconds }
    }

    /// Offsets per second; nil before there are two samples. A partition counts from the time at which it was first
    /// seen.
    var perSecond: Double? {
        guard let first = samples.first, let last = samples.last, last.at > first.at else { return nil }
        let moved = last.offsets.reduce(0) { $0 + max($1.value - (first.offsets[$1.key] ?? $1.value), 0) }
        return Double(moved) * 1_000_000 / Double(last.at.microseconds - first.at.microseconds)
    }
}
