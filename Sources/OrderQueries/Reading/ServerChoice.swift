/// Decides which server answers: the replica, while it is there and near enough to the primary, and else the primary. A
/// pure value that is told what the servers say of their write-ahead logs.
///
/// The delay of the replica needs no clock but our own. The primary is asked for its position again and again. When the
/// replica has replayed a position, it has all that was committed before the question for that position; so its data is
/// no older than that question.
struct ServerChoice: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// Why the primary answers, or the replica in spite of something.
    enum Reason: String, Sendable {
        /// The replica is near enough.
        case near
        /// The replica's delay is above the bound, or not known yet.
        case delayed
        case replicaIsAway = "replica_away"
        /// Nobody else can answer, and how far behind the replica is cannot be measured.
        case primaryIsAway = "primary_away"
    }

    private struct Sample {
        let asked: Instant
        let position: Int64
    }

    private let maxDelay: Duration
    private let silence: Duration
    /// Positions of the primary that the replica had not replayed when it was asked last, the oldest first.
    private var samples: [Sample] = []
    /// When the newest position was asked for that the replica has replayed.
    private var reached: Instant?
    private var replicaAnswered: Instant?
    private var primaryAnswered: Instant?
    /// Looks in a row that found the replica near enough.
    private var goodLooks = 0

    private(set) var server = ReadServer.primary
    private(set) var reason = Reason.replicaIsAway

    /// A server that was left is returned to after this many good looks.
    private static let looksBeforeReturn = 3
    /// A replica that is further behind has an unknown delay until it catches up.
    private static let mostSamples = 10_000

    /// - Parameters:
    ///   - maxDelay: the largest delay of a replica that answers.
    ///   - silence: how long a server may say nothing before it is away.
    init(maxDelay: Duration, silence: Duration) {
        self.maxDelay = maxDelay
        self.silence = silence
    }

    /// The primary has written this position.
    ///
    /// - Parameter asked: before the question.
    mutating func primary(at position: Int64, asked: Instant, now: Instant) {
        primaryAnswered = now
        samples.append(Sample(asked: asked, position: position))
        if samples.count > Self.mostSamples { samples.removeFirst(samples.count - Self.mostSamples) }
    }

    /// The replica has replayed this position.
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

    /// How old what the replica shows may be; nil when that is not known.
    func delay(at now: Instant) -> Duration? {
        replicaAnswered == nil ? nil : reached.map { now - $0 }
    }

    /// Decides anew.
    ///
    /// - Returns: whether another server answers from now on.
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
