internal import Postgres

extension DeadLetterStore {
    /// Reads the letters of a selection in pages, the oldest first.
    ///
    /// - Parameters:
    ///   - pageBytes: approximate size of the keys, values and headers of a page. A page contains at least one letter.
    ///   - body: receives each page. No transaction is open while it runs.
    /// - Throws: ``PostgresError``; the error of `body`.
    public func export(
        _ selection: Selection, pageBytes: Int = 4 << 20, _ body: ([Letter]) async throws -> Void
    ) async throws {
        var after: Int64 = 0
        while true {
            try Task.checkCancellation()
            let (sql, parameters) = Self.page(selection, after: after, bytes: pageBytes)
            let result = try await connection.execute(.unprepared(sql), parameters)
            var letters: [Letter] = []
            letters.reserveCapacity(result.rowCount)
            for row in 0..<result.rowCount {
                var row = LetterRow(result, row)
                letters.append(try Letter(&row))
            }
            guard let last = letters.last else { return }
            try await body(letters)
            after = last.summary.letterID
        }
    }

    /// The sizes are read before the letters. The row contains the length of a value that is stored elsewhere.
    private static func page(_ selection: Selection, after: Int64, bytes: Int) -> (sql: String, parameters: Parameters)
    {
        var condition = LetterCondition(selection)
        condition.add("l.letter_id > \(condition.next { $0.append(after) })")
        let sql = """
            SELECT \(Letter.columns) FROM (
                SELECT letter_id, sum(size) OVER (ORDER BY letter_id) - size AS before FROM (
                    SELECT l.letter_id, coalesce(octet_length(l.key), 0) + coalesce(octet_length(l.value), 0)
                        + pg_column_size(l.header_values) AS size
                    FROM dead_letters AS l WHERE \(condition.sql) ORDER BY l.letter_id LIMIT 500
                ) AS sized
            ) AS page JOIN dead_letters AS l ON l.letter_id = page.letter_id
            WHERE page.before < \(condition.next { $0.append(Int64(bytes)) }) ORDER BY l.letter_id
            """
        return (sql, condition.parameters)
    }
}
