public import Postgres
internal import StreamCore

extension DeadLetterStore {
    /// A page of letters, the newest first.
    ///
    /// - Parameters:
    ///   - limit: the number of letters on a page, from 1 to 1,000.
    ///   - before: only letters with a lower number; ``Page/next`` of the previous page.
    public func list(
        _ filter: Filter = Filter(), limit: Int = 50, before: Int64? = nil
    ) async throws(PostgresError) -> Page {
        let limit = min(max(limit, 1), 1_000)
        let (sql, parameters) = LetterListing(filter, limit: limit + 1, before: before).statement
        let result = try await connection.execute(.unprepared(sql), parameters)
        var letters: [Summary] = []
        for row in 0..<min(result.rowCount, limit) {
            var row = LetterRow(result, row)
            letters.append(try Summary(&row))
        }
        return Page(letters: letters, next: result.rowCount > limit ? letters.last?.letterID : nil)
    }

    /// Groups, those with the most open letters first.
    ///
    /// - Parameters:
    ///   - filter: consumer, class and fingerprint count. Groups have no other properties.
    ///   - includingClosed: also groups without an open letter.
    ///   - limit: maximum number of groups, up to 10,000.
    public func groups(
        _ filter: Filter = Filter(), includingClosed: Bool = false, limit: Int = 100
    ) async throws(PostgresError) -> [Group] {
        var condition = LetterCondition()
        condition.addGroup(of: filter, table: "g")
        if !includingClosed { condition.add("g.pending + g.retrying > 0") }
        let sql = """
            SELECT \(Group.columns) FROM dead_letter_groups AS g WHERE \(condition.sql)
            ORDER BY g.pending + g.retrying DESC, g.last_seen DESC, g.consumer, g.error_class, g.fingerprint
            LIMIT \(min(max(limit, 1), 10_000))
            """
        let result = try await connection.execute(.unprepared(sql), condition.parameters)
        var groups: [Group] = []
        for row in 0..<result.rowCount {
            var row = LetterRow(result, row)
            groups.append(try Group(&row))
        }
        return groups
    }

    /// Finds the group of a name whose fingerprint may be shortened.
    ///
    /// - Throws: ``NameError`` if no group or several groups match; ``PostgresError``.
    public func group(named name: GroupName) async throws -> Group {
        var filter = Filter()
        filter.consumer = name.consumer
        filter.errorClass = name.errorClass
        filter.fingerprint = name.fingerprint
        let found = try await groups(filter, includingClosed: true, limit: 10)
        guard let group = found.first else { throw NameError.noSuchGroup(name) }
        guard found.count == 1 else { throw NameError.ambiguous(name, found.map(\.name)) }
        return group
    }

    /// A name that matches no group, or several groups.
    public enum NameError: Error, Sendable, Hashable, CustomStringConvertible {
        case noSuchGroup(GroupName)
        case ambiguous(GroupName, [GroupName])

        public var description: String {
            switch self {
            case .noSuchGroup(let name): "there is no group \(name)"
            case .ambiguous(let name, let groups):
                "\(name) matches several groups: \(groups.map(\.description).joined(separator: ", "))"
            }
        }
    }
}

/// The statement of a list. Each form reads about as many letters as it returns, whatever the size of the table.
struct LetterListing {
    let statement: (sql: String, parameters: Parameters)

    init(_ filter: DeadLetterStore.Filter, limit: Int, before: Int64?) {
        var condition = LetterCondition()
        condition.addContent(of: filter)
        if let before { condition.add("l.letter_id < \(condition.next { $0.append(before) })") }
        let end = "ORDER BY l.letter_id DESC LIMIT \(limit)"
        let columns = DeadLetterStore.Summary.columns
        let sql: String
        if filter.consumer != nil || filter.errorClass != nil || filter.fingerprint != nil {
            if !filter.states.isEmpty { condition.add(states: filter.states) }
            let inner = condition.sql
            let groups = Self.groups(filter, &condition)
            // No index finds the latest letters of a consumer, but an index finds those of each of its groups.
            sql = """
                SELECT l.* FROM dead_letter_groups AS g CROSS JOIN LATERAL (
                    SELECT \(columns) FROM dead_letters AS l WHERE l.consumer = g.consumer
                        AND l.error_class = g.error_class AND l.fingerprint = g.fingerprint AND \(inner) \(end)
                ) AS l WHERE \(groups) \(end)
                """
        } else if filter.states.isEmpty || filter.states.count == DeadLetterStore.State.allCases.count {
            sql = "SELECT \(columns) FROM dead_letters AS l WHERE \(condition.sql) \(end)"
        } else {
            let inner = condition.sql
            // Merges one scan for each state. A single scan over all states could read a million letters of other
            // states.
            let scans = filter.states.map(\.rawValue).sorted().map { state in
                "(SELECT \(columns) FROM dead_letters AS l WHERE l.state = '\(state)' AND \(inner) \(end))"
            }
            sql = "SELECT l.* FROM (\(scans.joined(separator: " UNION ALL "))) AS l \(end)"
        }
        statement = (sql, condition.parameters)
    }

    private static func groups(_ filter: DeadLetterStore.Filter, _ condition: inout LetterCondition) -> String {
        let count = condition.terms.count
        condition.addGroup(of: filter, table: "g")
        var terms = Array(condition.terms[count...])
        if !filter.states.isEmpty {
            terms.append("\(filter.states.map { "g." + $0.rawValue }.sorted().joined(separator: " + ")) > 0")
        }
        return terms.joined(separator: " AND ")
    }
}

// MARK: - rows

extension DeadLetterStore.Summary {
    static let columns = """
        l.letter_id, l.consumer, l.state, l.reason, l.error_class, l.fingerprint, l.message, l.origin_topic, \
        l.origin_partition, l.origin_offset, substring(l.key FROM 1 FOR 1024) AS key, l.event_type, l.attempts, \
        CASE WHEN isfinite(l.next_attempt_at) THEN l.next_attempt_at END AS next_attempt_at, l.created_at, l.dialect
        """

    init(_ row: inout LetterRow) throws(PostgresError) {
        letterID = try row.int64()
        consumer = try row.string()
        state = try row.state()
        reason = try row.string()
        errorClass = try row.string()
        fingerprint = try row.string()
        message = try row.string()
        origin = DeadLetterStore.Origin(
            topic: try row.string(), partition: try row.int32(), offset: try row.int64())
        key = row.bytes()
        eventType = try row.text()
        attempts = try row.int32()
        nextAttemptAt = try row.time()
        createdAt = try row.timestamp()
        dialect = try row.string()
    }
}

extension DeadLetterStore.Group {
    static let columns = """
        g.consumer, g.error_class, g.fingerprint, g.first_seen, g.last_seen, g.example_letter, g.example_message, \
        g.pending, g.retrying, g.resolved, g.discarded
        """

    init(_ row: inout LetterRow) throws(PostgresError) {
        name = DeadLetterStore.GroupName(
            consumer: try row.string(), errorClass: try row.string(), fingerprint: try row.string())
        firstSeen = try row.timestamp()
        lastSeen = try row.timestamp()
        exampleLetter = try row.int64()
        exampleMessage = try row.string()
        pending = try row.int64()
        retrying = try row.int64()
        resolved = try row.int64()
        discarded = try row.int64()
    }
}
