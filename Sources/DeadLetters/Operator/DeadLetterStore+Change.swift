public import Postgres
public import StreamCore

extension DeadLetterStore {
    /// Reports what ``change(_:_:perSecond:by:onProgress:)`` would do now, and changes nothing.
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

    /// Changes the letters of a selection whose state allows it, in transactions of some hundreds, in the order of
    /// their numbers. Letters that come meanwhile are left out. If a call is interrupted and repeated, it skips the
    /// letters that are already changed, except that a retry is requested again.
    ///
    /// - Parameters:
    ///   - perSecond: maximum number of retries that become due in a second; nil for no limit.
    ///   - onProgress: called after each transaction with the number of letters changed so far.
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

    /// All code that changes letters locks them in the order of their numbers. The rows of their groups are locked in
    /// addition, so with several statements in a transaction a deadlock remains possible. The server then fails one of
    /// the two transactions, which is tried again.
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

/// The part of a change in one transaction, as a single statement.
struct LetterChunk {
    static let size: Int64 = 500

    let change: DeadLetterStore.Change
    let selection: DeadLetterStore.Selection
    let audit: Audit
    /// The time at which the change began. Retries become due from this time on.
    let start: Timestamp
    /// The last letter that existed when the change began.
    let until: Int64
    let perSecond: Double?
    /// The last letter that was checked.
    var after: Int64 = 0
    /// The number of letters changed so far.
    var done: Int64 = 0

    /// Returns the number of checked letters, the last of them, and the number of changed letters, which is smaller if
    /// a letter changed its state meanwhile.
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
