/// The state of a consumer in a partition. As in Burrow, it is determined by the changes of the offset and the lag
/// within a time window, not by a limit.
public enum LagState: String, Sendable, Hashable, Comparable {
    /// It keeps up, or it catches up.
    case ok
    /// An operator has paused it.
    case paused
    /// It makes progress, but its lag grows.
    case warn
    /// It runs, but has made no progress for a while although there are unread records.
    case stall
    /// The same, and it does not run.
    case stop

    public static func < (left: LagState, right: LagState) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .ok: 0
        case .paused: 1
        case .warn: 2
        case .stall: 3
        case .stop: 4
        }
    }
}

/// The last samples of one consumer in one partition, and their evaluation. A pure value that reads no clock.
public struct LagWindow: Sendable {
    /// The time for which samples are kept, in milliseconds.
    static let spanMs: Int64 = 60_000
    /// The time without progress, in milliseconds, after which a consumer with unread records is stalled.
    static let stalledAfterMs: Int64 = 20_000
    /// The time, in milliseconds, for which the lag must grow before it counts as growing.
    static let growingMs: Int64 = 20_000

    private var samples: [LagSample] = []
    /// The time at which the offset last changed, as far as is known.
    private var movedAtMs: Int64 = .min

    public init() {}

    /// Adds a sample. It must be later than the previous ones.
    public mutating func note(_ sample: LagSample) {
        if let last = samples.last {
            // The offset was set back, so the earlier samples are no longer comparable.
            if sample.next < last.next { samples = [] }
            if sample.next != last.next { movedAtMs = sample.atMs }
        }
        if let moved = sample.movedAtMs { movedAtMs = max(movedAtMs, moved) }
        samples.append(sample)
        samples.removeAll { $0.atMs < sample.atMs - Self.spanMs }
    }

    public var last: LagSample? { samples.last }

    /// The state of the consumer.
    ///
    /// - Parameter isRunning: whether the consumer's process runs; nil if unknown.
    public func state(isRunning: Bool?) -> LagState {
        guard let last = samples.last, last.lag > 0 else { return .ok }
        // A record that has just arrived is no problem, and neither is a program that is restarted.
        if idleMs(last) >= Self.stalledAfterMs { return isRunning == false ? .stop : .stall }
        // A consumer that had read everything at some time within the window is ok (Burrow's first rule).
        if samples.contains(where: { $0.lag == 0 }) { return .ok }
        return isGrowing ? .warn : .ok
    }

    /// The time without progress although there were unread records, in milliseconds. Records that have just arrived do
    /// not count.
    private func idleMs(_ last: LagSample) -> Int64 {
        let firstSeen = samples.first { $0.next == last.next && $0.lag > 0 }?.atMs ?? last.atMs
        let waitsSince = last.oldestUnreadMs ?? firstSeen
        // If the time of the last progress is not recorded, only the samples count.
        let quietSince = movedAtMs == .min ? firstSeen : movedAtMs
        return last.atMs - max(quietSince, min(waitsSince, last.atMs))
    }

    /// Whether the smallest lag of each quarter of the window is larger than that of the quarter before. Consumers
    /// commit batches, so the lag goes up and down between two samples also where it grows.
    private var isGrowing: Bool {
        guard let first = samples.first, let last = samples.last, last.atMs - first.atMs >= Self.growingMs else {
            return false
        }
        var smallest: [Int64?] = [nil, nil, nil, nil]
        for sample in samples {
            let quarter = min(Int((sample.atMs - first.atMs) * 4 / (last.atMs - first.atMs)), 3)
            smallest[quarter] = min(smallest[quarter] ?? .max, sample.lag)
        }
        let lags = smallest.compactMap(\.self)
        return lags.count == smallest.count && zip(lags, lags.dropFirst()).allSatisfy { $0 < $1 }
    }

    // MARK: rates

    /// The offsets per second that the consumer reads; nil before the second sample.
    public var readPerSecond: Double? { perSecond { $0.next } }

    /// The offsets per second that are written to the partition; nil before the second sample.
    public var writtenPerSecond: Double? { perSecond { $0.end } }

    private func perSecond(_ value: (LagSample) -> Int64) -> Double? {
        guard let first = samples.first, let last = samples.last, last.atMs > first.atMs else { return nil }
        return Double(value(last) - value(first)) * 1_000 / Double(last.atMs - first.atMs)
    }

    /// The seconds until everything is read, if the rates do not change; nil if that will not happen or is unknown.
    public var secondsToCatchUp: Double? {
        guard let last = samples.last else { return nil }
        if last.lag == 0 { return 0 }
        guard let readPerSecond, let writtenPerSecond, readPerSecond > writtenPerSecond else { return nil }
        return Double(last.lag) / (readPerSecond - writtenPerSecond)
    }

    /// The seconds until the broker removes unread records, if the first unread record continues to age at the same
    /// rate. nil if that will not happen or is unknown.
    ///
    /// - Parameter retentionMs: the retention of the topic, in milliseconds.
    public func secondsUntilRemoval(retentionMs: Int64) -> Double? {
        guard let last = samples.last, last.lag > 0, let behind = last.behindMs else { return nil }
        let roomMs = retentionMs - behind
        if roomMs <= 0 { return 0 }
        guard let first = samples.first(where: { $0.behindMs != nil }), let before = first.behindMs,
            last.atMs > first.atMs
        else { return nil }
        // The rate is 1 for a consumer without progress: the first unread record gets one second older each second.
        let ageing = Double(behind - before) / Double(last.atMs - first.atMs)
        return ageing > 0 ? Double(roomMs) / 1_000 / ageing : nil
    }
}
