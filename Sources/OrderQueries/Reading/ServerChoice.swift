/// Decides which server answers: the replica while it answers and its delay is small enough, otherwise the primary.
/// This is a pure value that receives the positions of the servers' write-ahead logs.
///
/// The delay of the replica is measured with the clock of this process alone. The primary is asked for its position
/// periodically. A replica that has replayed a position has everything that was committed before the primary was asked
/// for it. So its data is not older than that request.
struct ServerChoice: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// Why the primary answers, or why the replica answers although something is wrong.
    enum Reason: String, Sendable {
        /// The delay of the replica is small enough.
        case near
        /// The replica's delay is above the limit, or not known yet.
        case delayed
        case replicaIsAway = "replica_away"
        /// Only the replica can answer, and its delay cannot be measured.
        case primaryIsAway = "primary_away"
    }

    private struct Sample {
        let asked: Instant
        let position: Int64
    }

    private let maxDelay: Duration
    private let silence: Duration
    /// Positions of the primary that the replica had not replayed at its last answer, the oldest first.
    private var samples: [Sample] = []
    /// The time of the request for the newest position that the replica has replayed.
    private var reached: Instant?
    private var replicaAnswered: Instant?
    private var primaryAnswered: Instant?
    /// Number of consecutive decisions at which the delay of the replica was small enough.
    private var goodLooks = 0

    private(set) var server = ReadServer.primary
    private(set) var reason = Reason.replicaIsAway

    /// Number of such decisions after which the replica answers again.
    private static let looksBeforeReturn = 3
    /// Maximum number of positions that are kept. If the replica is further behind, its delay is unknown until it
    /// catches up.
    private static let mostSamples = 10_000

    /// - Parameters:
    ///   - maxDelay: the maximum delay of a replica that answers.
    ///   - silence: the time without an answer after which a server counts as unavailable.
    init(maxDelay: Duration, silence: Duration) {
        self.maxDelay = maxDelay
        self.silence = silence
    }

    /// Notes that the primary has written this position.
    ///
    /// - Parameter asked: the time before the request.
    mutating func primary(at position: Int64, asked: Instant, now: Instant) {
        primaryAnswered = now
        samples.append(Sample(asked: asked, position: position))
        if samples.count > Self.mostSamples { samples.removeFirst(samples.count - Self.mostSamples) }
    }

    /// Notes that the replica has replayed this position.
    mutating func replica(at position: Int64, now: Instant) {
        replicaAnswered = now
        let replayed = samples.prefix { $0.position <= position }
        if let last = replayed.last { reached = last.asked }
        samples.removeFirst(replayed.count)
    }

    mutating func isAway(_ server: ReadServer) {
        switch server {
        case .primary: primaryAnswered = nil
        case .replica: replicaAnswered = nil
        }
    }

    /// The maximum age of the replica's data; nil if it is unknown.
    func delay(at now: Instant) -> Duration? {
        replicaAnswered == nil ? nil : reached.map { now - $0 }
    }

    /// Decides which server answers from now on.
    ///
    /// - Returns: whether the server has changed.
    mutating func decide(at now: Instant) -> Bool {
        let before = server
        func answers(_ last: Instant?) -> Bool { last.map { now - $0 <= silence } ?? false }
        if !answers(replicaAnswered) {
            (server, reason, goodLooks) = (.primary, .replicaIsAway, 0)
        } else if !answers(primaryAnswered) {
            (server, reason, goodLooks) = (.replica, .primaryIsAway, 0)
        } else if let delay = delay(at: now), delay <= maxDelay {
            goodLooks += 1
            if server == .replica || goodLooks >= Self.looksBeforeReturn { (server, reason) = (.replica, .near) }
        } else {
            (server, reason, goodLooks) = (.primary, .delayed, 0)
        }
        return server != before
    }
}

/// A server of the read model's database.
public enum ReadServer: String, Sendable, Hashable, CaseIterable {
    case primary, replica
}
