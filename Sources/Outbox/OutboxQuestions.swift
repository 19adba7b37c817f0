internal import Postgres
internal import StreamCore

/// What a relay asks the database now and then, besides reading rows.
struct OutboxQuestions: Sendable {
    let reader: PostgresConnection
    let writer: OutboxWriter
    let statements: OutboxStatements

    /// The transactions that may still fill gaps; see ``GapTracker``.
    func lockHolders() async throws -> LockHolders {
        var others = Int32Array()
        others.append(writer.serverProcessID)
        others.append(await reader.serverProcessID)
        var parameters = Parameters()
        parameters.append(others)
        let result = try await reader.execute(statements.lockHolders, parameters)
        var holders = LockHolders()
        for row in 0..<result.rowCount {
            let name = try result.string(row, 0)
            if try result.bool(row, 2) { holders.numbered.insert(name) }
            if try result.bool(row, 1) { holders.prepared.insert(name) } else { holders.running.insert(name) }
        }
        return holders
    }

    /// The keys that wait for an operator, each with the id of its lowest row that was set aside.
    func blockedKeys(by rule: TopicRule) async throws -> [TopicKey: Int64] {
        let result = try await reader.execute(statements.blockedKeys)
        var keys: [TopicKey: Int64] = [:]
        for row in 0..<result.rowCount {
            let topic = try result.optionalString(row, 2) ?? rule.name(for: result.optionalString(row, 0) ?? "")
            let key = try result.optionalString(row, 3) ?? result.optionalString(row, 1) ?? ""
            let topicKey = TopicKey(topic: topic, key: Array(key.utf8))
            keys[topicKey] = min(keys[topicKey] ?? .max, try result.int64(row, 4))
        }
        return keys
    }

    /// What the ids are drawn from, and what holds the rows.
    func origin() async throws -> OutboxOrigin {
        let result = try await reader.execute(statements.origin)
        return OutboxOrigin(
            lastPosition: try result.optionalInt64(0, 0) ?? 0, file: try result.optionalInt64(0, 1) ?? 0)
    }
}

/// By which it is noticed that ids begin anew: after TRUNCATE … RESTART IDENTITY, or a sequence that was set back.
struct OutboxOrigin: Equatable {
    /// The highest id drawn; 0 when it cannot be known.
    let lastPosition: Int64
    /// The number of the file that holds the table's rows.
    let file: Int64

    /// Whether ids below those that were read before may come.
    func mayRepeat(_ before: OutboxOrigin) -> Bool { lastPosition < before.lastPosition || file != before.file }
}

/// When rare things were done last.
struct Housekeeping {
    /// Most gaps are filled within the time of a commit, before a query for lock holders is necessary.
    var gaps = Interval(.milliseconds(50))
    var progress = Interval(.seconds(1))
    /// Whether the table was emptied and its ids begin anew.
    var origin = Interval(.milliseconds(100))
    /// Whether an operator has freed a key.
    var blocked: Interval

    init(_ configuration: OutboxRelayConfiguration) {
        blocked = Interval(.milliseconds(configuration.unblockIntervalMs))
    }
}
