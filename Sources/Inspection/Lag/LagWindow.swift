/// How a consumer does in a partition, as Burrow judges it: by how its offset and its lag changed over a window of
/// time, not by a limit.
public enum LagState: String, Sendable, Hashable, Comparable {
    /// It keeps up, or catches up.
    case ok
    /// An operator has paused it.
    case paused
    /// It moves, and its lag has grown at each look.
    case warn
    /// It runs, and does not move though there is something to read.
    case stall
    /// It does not run, and there is something to read.
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

/// The last looks at one consumer in one partition, and what follows from them: a pure value that reads no clock.
public struct LagWindow: Sendable {
    /// Looks are kept so long, in milliseconds.
    static let spanMs: Int64 = 60_000
    /// A consumer that has something to read and does not move for so long has stopped, in milliseconds.
    static let stalledAfterMs: Int64 = 20_000
    /// So many looks, each with a greater lag than the one before, are no coincidence.
    static let growingLooks = 4

    private var samples: [LagSample] = []
    /// When the offset was last seen to change, or first seen at all.
    private var movedAtMs: Int64 = .min

    public init() {}

    /// Notes a look, later than those before.
    public mutating func note(_ sample: LagSample) {
        if let last = samples.last {
            // An offset that went back was set back: what was before says nothing any more.
            if sample.next < last.next { samples = [] }
            if sample.next != last.next { movedAtMs = sample.atMs }
        }
        if let moved = sample.movedAtMs { movedAtMs = max(movedAtMs, moved) }
        samples.append(sample)
        samples.removeAll { $0.atMs < sample.atMs - Self.spanMs }
    }

    public var last: LagSample? { samples.last }

    /// How it does.
    ///
    /// - Parameter isRunning: whether the consumer's process runs; nil if unknown.
    public func state(isRunning: Bool?) -> LagState {
        guard let last = samples.last, last.lag > 0 else { return .ok }
        // A consumer that had read everything within the window is ok (Burrow's first rule).
        let hadAll = samples.contains { $0.lag == 0 }
        if isRunning == false, !hadAll || idleMs(last) >= Self.stalledAfterMs { return .stop }
        if idleMs(last) >= Self.stalledAfterMs { return .stall }
        if hadAll { return .ok }
        return isGrowing ? .warn : .ok
    }

    /// How long nothing was read though there was something, in milliseconds. What has only just come makes nobody
    /// idle.
    private func idleMs(_ last: LagSample) -> Int64 {
        let firstSeen = samples.first { $0.next == last.next && $0.lag > 0 }?.atMs ?? last.atMs
        let waitsSince = last.oldestUnreadMs ?? firstSeen
        // Without a note of when it moved, only what was seen counts.
        let quietSince = movedAtMs == .min ? firstSeen : movedAtMs
        return last.atMs - max(quietSince, min(waitsSince, last.atMs))
    }

    private var isGrowing: Bool {
        guard samples.count >= Self.growingLooks else { return false }
        return zip(samples, samples.dropFirst()).allSatisfy { $0.lag < $1.lag }
    }

    // MARK: rates

    /// Offsets a second that the consumer moves; nil before there are two looks.
    public var readPerSecond: Double? { perSecond { $0.next } }

    /// Offsets a second that the partition grows.
    public var writtenPerSecond: Double? { perSecond { $0.end } }

    private func perSecond(_ value: (LagSample) -> Int64) -> Double? {
        guard let first = samples.first, let last = samples.last, last.atMs > first.atMs else { return nil }
        return Double(value(last) - value(first)) * 1_000 / Double(last.atMs - first.atMs)
    }

    /// Seconds until everything is read, as things go; nil when that will not be, or is not known.
    public var secondsToCatchUp: Double? {
        guard let last = samples.last else { return nil }
        if last.lag == 0 { return 0 }
        guard let readPerSecond, let writtenPerSecond, readPerSecond > writtenPerSecond else { return nil }
        return Double(last.lag) / (readPerSecond - writtenPerSecond)
    }

    /// Seconds until the broker removes unread records, as things go: from how fast the first unread record ages. nil
    /// when that will not be, or is not known.
    ///
    /// - Parameter retentionMs: how old records get, in milliseconds.
    public func secondsUntilRemoval(retentionMs: Int64) -> Double? {
        guard let last = samples.last, last.lag > 0, let behind = last.behindMs else { return nil }
        let roomMs = retentionMs - behind
        if roomMs <= 0 { return 0 }
        guard let first = samples.first(where: { $0.behindMs != nil }), let before = first.behindMs,
            last.atMs > first.atMs
        else { return nil }
        // 1 for a consumer that stands still: each second the first unread record is a second older.
        let ageing = Double(behind - before) / Double(last.atMs - first.atMs)
        return ageing > 0 ? Double(roomMs) / 1_000 / ageing : nil
    }
}
