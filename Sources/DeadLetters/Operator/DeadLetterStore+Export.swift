internal import Postgres

extension DeadLetterStore {
    /// Reads the letters of a selection page by page, the oldest first.
    ///
    /// - Parameters:
    ///   - pageBytes: keys, values and headers a page holds, about; a page has at least one letter.
    ///   - body: gets each page, and may take its time over it: no transaction is open meanwhile.
    /// - Throws: ``PostgresError``; what `body` throws.
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

    /// The sizes are looked at before the letters are read: how long a value is stands in its row, though the value
    /// itself lies elsewhere.
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
