internal import Postgres

/// What a relay asks the database now and then, besides reading rows.
struct OutboxQuestions: Sendable {
    let reader: PostgresConnection
    let session: LockSession
    let statements: OutboxStatements

    /// The virtual transactions that may still fill gaps; see ``GapTracker``.
    func lockHolders() async throws -> Set<String> {
        var others = Int32Array()
        others.append(session.serverProcessID)
        others.append(await reader.serverProcessID)
        var parameters = Parameters()
        parameters.append(others)
        let result = try await reader.execute(statements.lockHolders, parameters)
        return Set(try (0..<result.rowCount).map { try result.string($0, 0) })
    }

    /// The lanes that wait for an operator.
    func blockedLanes(by rule: TopicRule) async throws -> Set<Lane> {
        let result = try await reader.execute(statements.blockedLanes)
        var lanes: Set<Lane> = []
        for row in 0..<result.rowCount {
            let topic = try result.optionalString(row, 2) ?? rule.name(for: result.optionalString(row, 0) ?? "")
            let key = try result.optionalString(row, 3) ?? result.optionalString(row, 1) ?? ""
            lanes.insert(Lane(topic: topic, key: Array(key.utf8)))
        }
        return lanes
    }

    /// The highest id ever drawn; 0 when it cannot be known.
    func lastPosition() async throws -> Int64 {
        try await reader.execute(statements.lastPosition).optionalInt64(0, 0) ?? 0
    }
}

/// When rare things were done last.
struct Housekeeping {
    struct Timer {
        let interval: Duration
        private var last: ContinuousClock.Instant?

        init(_ interval: Duration) { self.interval = interval }

        mutating func isDue(_ now: ContinuousClock.Instant) -> Bool {
            if let last, now - last < interval { return false }
            last = now
            return true
        }
    }

    /// Gaps are mostly filled within a commit's time, before anybody has to be asked.
    var gaps = Timer(.milliseconds(50))
    var progress = Timer(.seconds(1))
    /// Whether an operator has freed a key.
    var blocked: Timer

    init(_ configuration: OutboxRelayConfiguration) {
        blocked = Timer(.milliseconds(configuration.unblockIntervalMs))
    }
}
