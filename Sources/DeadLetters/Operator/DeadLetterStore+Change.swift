public import Postgres
public import StreamCore

extension DeadLetterStore {
    /// What ``change(_:_:perSecond:by:onProgress:)`` would do now; changes nothing.
    public func preview(_ change: Change, _ selection: Selection) async throws(PostgresError) -> Outcome {
        let condition = LetterCondition(selection)
        let sql = """
            SELECT verdict, count(*) FROM (
                SELECT \(change.verdict) AS verdict FROM dead_letters AS l WHERE \(condition.sql)
            ) AS judged GROUP BY verdict
            """
        let result = try await connection.execute(.unprepared(sql), condition.parameters)
        var outcome = Outcome()
        for row in 0..<result.rowCount {
            let verdict = try result.string(row, 0)
            let count = try result.int64(row, 1)
            if let skip = Skip(rawValue: verdict) { outcome.skipped[skip] = count } else { outcome.changed = count }
        }
        if case .letters(let ids) = selection { outcome.missing = try await missing(ids) }
        return outcome
    }

    private func missing(_ ids: [Int64]) async throws(PostgresError) -> [Int64] {
        var column = Int64Array()
        for id in ids { column.append(id) }
        let result = try await connection.execute(
            .unprepared(
                """
                SELECT DISTINCT given FROM unnest($1) AS given
                WHERE NOT EXISTS (SELECT FROM dead_letters WHERE letter_id = given) ORDER BY given
                """), Parameters { $0.append(column) })
        var missing: [Int64] = []
        for row in 0..<result.rowCount { missing.append(try result.int64(row, 0)) }
        return missing
    }

    /// Changes the letters of a selection that may be changed, some hundreds a transaction, in the order of their
    /// numbers. Letters that come meanwhile are left out. Letters change once though it is called again: what a call
    /// that broke off has changed is skipped by the next, except that a retry is requested again.
    ///
    /// - Parameters:
    ///   - perSecond: so many retries become due in a second; nil for all at once.
    ///   - onProgress: called after each transaction with the letters changed so far.
    /// - Throws: ``PostgresError``; `CancellationError` between two transactions.
    @discardableResult
    public func change(
        _ change: Change, _ selection: Selection, perSecond: Double? = nil, by audit: Audit,
        onProgress: (Int64) -> Void = { _ in }
    ) async throws -> Outcome {
        var outcome = try await preview(change, selection)
        outcome.changed = 0
        let bounds = try await connection.execute(
            .unprepared("SELECT now(), coalesce(max(letter_id), 0) FROM dead_letters"))
        var chunk = LetterChunk(
            change: change, selection: selection, audit: audit, start: try bounds.timestamp(0, 0),
            until: try bounds.int64(0, 1), perSecond: perSecond)
        while true {
            try Task.checkCancellation()
            let (sql, parameters) = chunk.statement
            let result = try await executeThroughConflicts(.unprepared(sql), parameters)
            chunk.done += try result.int64(0, 2)
            outcome.changed = chunk.done
            onProgress(chunk.done)
            guard try result.int64(0, 0) == LetterChunk.size else { return outcome }
            chunk.after = try result.int64(0, 1)
        }
    }

    /// All who change letters lock them in the order of their numbers. Their groups' rows come on top, and with several
    /// statements a transaction a circle of waits remains possible: the server ends it by failing one of the two, which
    /// then only has to try again.
    private func executeThroughConflicts(
        _ statement: Statement, _ parameters: Parameters
    ) async throws(PostgresError) -> QueryResult {
        for _ in 1..<Self.conflictLimit {
            do throws(PostgresError) {
                return try await connection.execute(statement, parameters)
            } catch {
                guard let state = error.sqlState, ["40001", "40P01"].contains(state.code) else { throw error }
            }
        }
        return try await connection.execute(statement, parameters)
    }

    private static let conflictLimit = 8
}

/// One transaction's share of a change, as a single statement.
struct LetterChunk {
    static let size: Int64 = 500

    let change: DeadLetterStore.Change
    let selection: DeadLetterStore.Selection
    let audit: Audit
    /// When the change began: from here on retries become due.
    let start: Timestamp
    /// The last letter that was there when the change began.
    let until: Int64
    let perSecond: Double?
    /// The last letter looked at.
    var after: Int64 = 0
    /// Letters changed so far.
    var done: Int64 = 0

    /// Answers how many letters were looked at, the last of them, and how many were changed: fewer where one got
    /// another state in between.
    var statement: (sql: String, parameters: Parameters) {
        var condition = LetterCondition(selection)
        condition.add(change.isLegal)
        condition.add("l.letter_id > \(condition.next { $0.append(after) })")
        condition.add("l.letter_id <= \(condition.next { $0.append(until) })")
        let page = condition.sql
        let start = condition.next { $0.append(self.start) }
        let done = condition.next { $0.append(self.done) }
        let interval = condition.next { $0.append(perSecond.map { 1 / $0 } ?? 0) }
        let actor = condition.next { $0.append(audit.actor) }
        let why = [audit.reason, change.historyNote].compactMap { $0 }.joined(separator: "; ")
        let reason = condition.next { $0.append(why) }
        let (action, to) = change.history
        let sql = """
            WITH page AS MATERIALIZED (
                SELECT l.letter_id FROM dead_letters AS l WHERE \(page) ORDER BY l.letter_id LIMIT \(Self.size)
            ), picked AS MATERIALIZED (
                SELECT l.letter_id, l.state FROM dead_letters AS l
                WHERE l.letter_id IN (SELECT letter_id FROM page) AND \(change.isLegal)
                ORDER BY l.letter_id FOR UPDATE
            ), numbered AS MATERIALIZED (
                SELECT letter_id, state AS was, \(start) + make_interval(
                    secs => (\(done) + row_number() OVER (ORDER BY letter_id) - 1) * \(interval)) AS due FROM picked
            ), changed AS (
                UPDATE dead_letters AS l SET \(change.assignments) FROM numbered
                WHERE l.letter_id = numbered.letter_id
                RETURNING l.letter_id, l.delivery, l.dialect, numbered.was
            ), written AS (
                INSERT INTO dead_letter_history (letter_id, actor, action, from_state, to_state, reason)
                SELECT letter_id, \(actor), '\(action)', was, '\(to.rawValue)', \(reason) FROM changed
            )\(change.sends)
            SELECT (SELECT count(*) FROM page), coalesce((SELECT max(letter_id) FROM page), 0),
                (SELECT count(*) FROM changed)
            """
        return (sql, condition.parameters)
    }
}
