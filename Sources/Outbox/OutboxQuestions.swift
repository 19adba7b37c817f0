internal import Postgres
internal import StreamCore

/// The periodic queries of a relay, other than reading rows.
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

    /// The keys that wait for an operator, each with the lowest id of its failed rows.
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

    /// The state of the sequence and of the table's file.
    func origin() async throws -> OutboxOrigin {
        let result = try await reader.execute(statements.origin)
        return OutboxOrigin(
            lastPosition: try result.optionalInt64(0, 0) ?? 0, file: try result.optionalInt64(0, 1) ?? 0)
    }
}

/// Detects that ids begin again, after TRUNCATE … RESTART IDENTITY or after the sequence was set back.
struct OutboxOrigin: Equatable {
    /// The highest id that was drawn from the sequence; 0 if it is unknown.
    let lastPosition: Int64
    /// The number of the file that contains the table's rows.
    let file: Int64

    /// Whether ids that were read before may appear again.
    func mayRepeat(_ before: OutboxOrigin) -> Bool { lastPosition < before.lastPosition || file != before.file }
}

/// The intervals of periodic work.
struct Housekeeping {
    /// Most gaps are filled within the time of a commit, before a query for lock holders is necessary.
    var gaps = Interval(.milliseconds(50))
    var progress = Interval(.seconds(1))
    /// Checks whether the table was emptied and its ids begin again.
    var origin = Interval(.milliseconds(100))
    /// Checks whether an operator has unblocked a key.
    var blocked: Interval

    init(_ configuration: OutboxRelayConfiguration) {
        blocked = Interval(.milliseconds(configuration.unblockIntervalMs))
    }
}
