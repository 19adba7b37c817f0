public import Postgres
internal import StreamCore

extension DeadLetterStore {
    /// Returns a letter with its history, its edits and the other letters of its key.
    ///
    /// - Returns: nil if the letter does not exist.
    public func show(_ letterID: Int64) async throws(PostgresError) -> Detail? {
        let parameters = Parameters { $0.append(letterID) }
        let results = try await connection.pipeline(
            [Self.letter, Self.history, Self.edits, Self.sequence, Self.sequenceCounts].map { ($0, parameters) })
        guard results[0].rowCount == 1 else { return nil }
        var row = LetterRow(results[0], 0)
        let letter = try Letter(&row)
        var history: [HistoryEntry] = []
        for row in 0..<results[1].rowCount {
            var row = LetterRow(results[1], row)
            history.append(try HistoryEntry(&row))
        }
        var edits: [Edit] = []
        for row in 0..<results[2].rowCount {
            var row = LetterRow(results[2], row)
            edits.append(try Edit(&row))
        }
        var sequence: [Neighbour] = []
        for row in 0..<results[3].rowCount {
            var row = LetterRow(results[3], row)
            sequence.append(try Neighbour(&row))
        }
        var counts = LetterRow(results[4], 0)
        return Detail(
            letter: letter, history: history, edits: edits, sequence: sequence, openBefore: try counts.int64(),
            openBehind: try counts.int64())
    }

    private static let letter: Statement = .unprepared(
        "SELECT \(Letter.columns) FROM dead_letters AS l WHERE l.letter_id = $1")

    private static let history: Statement = .unprepared(
        """
        SELECT at, actor, action, from_state, to_state, reason FROM (
            SELECT * FROM dead_letter_history WHERE letter_id = $1 ORDER BY at DESC LIMIT \(historyLimit)
        ) AS latest ORDER BY at
        """)

    private static let edits: Statement = .unprepared(
        """
        SELECT edit, value, event_id, actor, reason, at FROM (
            SELECT * FROM dead_letter_edits WHERE letter_id = $1 ORDER BY edit DESC LIMIT \(editLimit)
        ) AS latest ORDER BY edit
        """)

    /// The open letters of the same sequence before or after letter `$1`. LATERAL makes the planner use the order of
    /// the index; a join would sort the whole sequence.
    private static func side(_ comparison: String, _ order: String, _ columns: String, _ limit: Int) -> String {
        """
        SELECT near.* FROM dead_letters AS own CROSS JOIN LATERAL (
            SELECT \(columns) FROM dead_letters AS l WHERE l.consumer = own.consumer
                AND l.origin_topic = own.origin_topic AND l.sequence = own.sequence AND l.sequence IS NOT NULL
                AND l.letter_id \(comparison) $1 AND l.state IN ('pending', 'retrying')
            ORDER BY l.letter_id \(order) LIMIT \(limit)
        ) AS near WHERE own.letter_id = $1
        """
    }

    private static let sequence: Statement = .unprepared(
        """
        SELECT * FROM ((\(side("<", "DESC", Neighbour.columns, neighbourLimit)))
            UNION ALL (\(side(">", "ASC", Neighbour.columns, neighbourLimit)))) AS l ORDER BY letter_id
        """)

    private static let sequenceCounts: Statement = .unprepared(
        """
        SELECT (SELECT count(*) FROM (\(side("<", "DESC", "1", countLimit))) AS before),
            (SELECT count(*) FROM (\(side(">", "ASC", "1", countLimit))) AS behind)
        """)
}

// MARK: - rows

extension DeadLetterStore.Letter {
    static let columns = """
        \(DeadLetterStore.Summary.columns), l.origin_at, l.key, l.value, l.value_kept = 'consumer', l.header_names, \
        l.header_values, l.event_id, l.stage, l.first_error_class, l.first_message, l.replay_topic, l.delivery, \
        l.state_since, coalesce(l.next_attempt_at = 'infinity', false), l.is_discard_open, \
        l.consumer_group
        """

    init(_ row: inout LetterRow) throws(PostgresError) {
        summary = try DeadLetterStore.Summary(&row)
        originAt = try row.time()
        key = row.bytes()
        value = row.bytes()
        isValueWithConsumer = try row.bool()
        headers = row.headers()
        eventID = try row.eventID()
        stage = try row.text()
        firstErrorClass = try row.string()
        firstMessage = try row.string()
        replayTopic = try row.text()
        delivery = try row.int32()
        stateSince = try row.timestamp()
        isNextInSequence = try row.bool()
        isDiscardOpen = try row.bool()
        consumerGroup = try row.string()
    }
}

extension DeadLetterStore.HistoryEntry {
    init(_ row: inout LetterRow) throws(PostgresError) {
        at = try row.timestamp()
        actor = try row.string()
        action = try row.string()
        from = try row.text()
        to = try row.text()
        reason = try row.text()
    }
}

extension DeadLetterStore.Edit {
    init(_ row: inout LetterRow) throws(PostgresError) {
        number = try row.int32()
        value = row.bytes() ?? []
        guard let id = try row.eventID() else { throw PostgresError(.decoding, "an edit has no event id") }
        eventID = id
        actor = try row.string()
        reason = try row.string()
        at = try row.timestamp()
    }
}

extension DeadLetterStore.Neighbour {
    static let columns = """
        l.letter_id, l.state, l.reason, l.error_class, l.origin_topic, l.origin_partition, l.origin_offset, l.event_type
        """

    init(_ row: inout LetterRow) throws(PostgresError) {
        letterID = try row.int64()
        state = try row.state()
        reason = try row.string()
        errorClass = try row.string()
        origin = DeadLetterStore.Origin(
            topic: try row.string(), partition: try row.int32(), offset: try row.int64())
        eventType = try row.text()
    }
}
