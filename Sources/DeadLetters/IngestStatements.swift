internal import Kafka
internal import Letters
internal import Postgres
internal import StreamCore

/// The statements of ingesting. Each works on arrays.
enum IngestStatements {
    // MARK: known letters

    /// Finds the rows by name. An answer to a delivery of an older release may name its letter less completely; it then
    /// belongs to the letter that matches best. The rows are locked in the order of their numbers after all were found.
    private static let findLetters: Statement = """
        WITH matches AS MATERIALIZED (
            SELECT w.place, m.letter_id
            FROM unnest($1, $2, $3, $4, $5, $6, $7) WITH ORDINALITY AS w (
                consumer, origin_topic, origin_partition, origin_offset, consumer_group, origin_mark, is_answer, place)
            CROSS JOIN LATERAL (
                SELECT letter_id FROM dead_letters AS l
                WHERE (l.consumer, l.origin_topic, l.origin_partition, l.origin_offset)
                        = (w.consumer, w.origin_topic, w.origin_partition, w.origin_offset)
                    AND (l.consumer_group = w.consumer_group OR w.is_answer AND l.consumer_group = '')
                    AND (l.origin_mark = w.origin_mark OR w.is_answer AND '' IN (l.origin_mark, w.origin_mark))
                ORDER BY l.consumer_group = w.consumer_group DESC, l.origin_mark = w.origin_mark DESC, letter_id DESC
                LIMIT 1
            ) AS m
        )
        SELECT matches.place, l.letter_id,
            l.state, l.reason, l.attempts, l.delivery, l.error_class, l.fingerprint, l.first_error_class,
            l.is_discard_open, l.is_row_forgotten
        FROM matches JOIN dead_letters AS l USING (letter_id)
        ORDER BY l.letter_id
        FOR UPDATE OF l
        """

    /// Reads and locks the letters that have rows.
    ///
    /// - Returns: the number and state of the letters, by the index of the entries.
    static func find(
        _ entries: [IngestFold.Entry], _ transaction: PostgresTransaction
    ) async throws -> [Int: (letterID: Int64, life: LetterLife)] {
        var (consumers, topics, groups, marks) = (TextArray(), TextArray(), TextArray(), TextArray())
        var partitions = Int32Array()
        var offsets = Int64Array()
        var areAnswers = BoolArray()
        for entry in entries {
            consumers.append(entry.name.consumer)
            topics.append(entry.name.origin.topic)
            partitions.append(entry.name.origin.partition)
            offsets.append(entry.name.offset)
            groups.append(entry.name.group)
            marks.append(entry.name.mark)
            areAnswers.append(entry.isAnswer)
        }
        let parameters = Parameters {
            $0.append(consumers)
            $0.append(topics)
            $0.append(partitions)
            $0.append(offsets)
            $0.append(groups)
            $0.append(marks)
            $0.append(areAnswers)
        }
        let rows = try await transaction.execute(findLetters, parameters)
        var found: [Int: (letterID: Int64, life: LetterLife)] = [:]
        for row in 0..<rows.rowCount {
            let life = LetterLife(
                state: LetterState(rawValue: try rows.string(row, 2)) ?? .pending,
                reason: LetterReason(rawValue: try rows.string(row, 3)) ?? .failed,
                attempts: try rows.int32(row, 4), delivery: try rows.int32(row, 5),
                errorClass: try rows.string(row, 6), fingerprint: try rows.string(row, 7),
                firstErrorClass: try rows.string(row, 8), isDiscardOpen: try rows.bool(row, 9),
                isRowForgotten: try rows.bool(row, 10))
            found[Int(try rows.int64(row, 0)) - 1] = (try rows.int64(row, 1), life)
        }
        return found
    }

    private static func name(_ rows: QueryResult, _ row: Int, from column: Int) throws(PostgresError) -> LetterName {
        LetterName(
            consumer: try rows.string(row, column), group: try rows.string(row, column + 4),
            origin: TopicPartition(
                topic: try rows.string(row, column + 1), partition: try rows.int32(row, column + 2)),
            offset: try rows.int64(row, column + 3), mark: try rows.string(row, column + 5))
    }

    // MARK: groups

    private static let missingGroups: Statement = """
        SELECT DISTINCT consumer, error_class, fingerprint
        FROM unnest($1, $2, $3) AS wanted (consumer, error_class, fingerprint)
        WHERE NOT EXISTS (
            SELECT FROM dead_letter_groups AS known
            WHERE (known.consumer, known.error_class, known.fingerprint)
                = (wanted.consumer, wanted.error_class, wanted.fingerprint))
        """

    /// Returns the groups of these letters that did not exist before. Run it before the letters are written. Groups of
    /// blocked letters do not count, because these letters wait for another one.
    static func newGroups(
        of letters: [ChangedLetter], _ transaction: PostgresTransaction
    ) async throws -> [GroupKey] {
        var keys: Set<GroupKey> = []
        for letter in letters where letter.life.errorClass != LetterText.blockedClass {
            guard letter.first != nil || letter.life.failure != nil else { continue }
            keys.insert(
                GroupKey(
                    consumer: letter.name.consumer, errorClass: letter.life.errorClass,
                    fingerprint: letter.life.fingerprint))
        }
        if keys.isEmpty { return [] }
        let rows = try await transaction.execute(missingGroups, parameters(keys.sorted()))
        return try (0..<rows.rowCount).map { row in
            GroupKey(
                consumer: try rows.string(row, 0), errorClass: try rows.string(row, 1),
                fingerprint: try rows.string(row, 2))
        }
    }

    private static func parameters(_ keys: [GroupKey]) -> Parameters {
        var consumers = TextArray()
        var classes = TextArray()
        var fingerprints = TextArray()
        for key in keys {
            consumers.append(key.consumer)
            classes.append(key.errorClass)
            fingerprints.append(key.fingerprint)
        }
        return Parameters {
            $0.append(consumers)
            $0.append(classes)
            $0.append(fingerprints)
        }
    }

    private static let newGroupAlerts: Statement = """
        INSERT INTO dead_letter_alerts (kind, consumer, error_class, fingerprint, message, letters, letter_id)
        SELECT 'new_group', g.consumer, g.error_class, g.fingerprint, g.example_message, g.pending + g.retrying,
            g.example_letter
        FROM unnest($1, $2, $3) AS fresh (consumer, error_class, fingerprint)
        JOIN dead_letter_groups AS g USING (consumer, error_class, fingerprint)
        ORDER BY g.example_letter
        """

    static func insertNewGroupAlerts(_ groups: [GroupKey], _ transaction: PostgresTransaction) async throws {
        try await transaction.execute(newGroupAlerts, parameters(Set(groups).sorted()))
    }

    private static let breakerAlerts: Statement = """
        INSERT INTO dead_letter_alerts (kind, consumer, error_class, message)
        SELECT kind, consumer, error_class, message
        FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS breakers (kind, consumer, error_class, message, place)
        ORDER BY place
        """

    static func insertBreakers(_ breakers: [LetterNotice], _ transaction: PostgresTransaction) async throws {
        var kinds = TextArray()
        var consumers = TextArray()
        var classes = TextArray()
        var messages = TextArray()
        for case .breaker(let consumer, let isOpen, let errorClass, let message) in breakers {
            kinds.append(isOpen ? "circuit_breaker_opened" : "circuit_breaker_closed")
            consumers.append(consumer)
            classes.append(errorClass)
            messages.append(message)
        }
        let parameters = Parameters {
            $0.append(kinds)
            $0.append(consumers)
            $0.append(classes)
            $0.append(messages)
        }
        try await transaction.execute(breakerAlerts, parameters)
    }

    // MARK: new letters

    private static let insertLetters: Statement = """
        WITH original_headers AS (
            SELECT place, array_agg(name ORDER BY number) AS names, array_agg(value ORDER BY number) AS values
            FROM unnest($1, $2, $3) WITH ORDINALITY AS h (place, name, value, number) GROUP BY place
        )
        INSERT INTO dead_letters (
            consumer, origin_topic, origin_partition, origin_offset, origin_at, key, value, value_kept,
            header_names, header_values, sequence, event_id, event_type, state, reason, stage, error_class, message,
            first_error_class, first_message, fingerprint, dialect, replay_topic, attempts, delivery, next_attempt_at,
            consumer_group, origin_mark)
        SELECT
            consumer, origin_topic, origin_partition, origin_offset, origin_at, key, value, value_kept,
            coalesce(names, '{}'), coalesce(values, '{}'),
            CASE WHEN is_ordered THEN sha256(convert_to(consumer_group, 'UTF8') || '\\x00'::bytea || key) END,
            event_id, event_type, state, reason, stage, error_class, message, first_error_class, first_message,
            fingerprint, dialect, replay_topic, attempts, delivery, clock_timestamp() + due_ms * interval '1 ms',
            consumer_group, origin_mark
        FROM unnest(
            $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25,
            $26, $27, $28, $29)
            WITH ORDINALITY AS letters (
                consumer, origin_topic, origin_partition, origin_offset, origin_at, key, value, value_kept, is_ordered,
                event_id, event_type, state, reason, stage, error_class, message, first_error_class, first_message,
                fingerprint, dialect, replay_topic, attempts, delivery, due_ms, consumer_group, origin_mark, place)
        LEFT JOIN original_headers USING (place)
        ORDER BY place
        ON CONFLICT (consumer, origin_topic, origin_partition, origin_offset, consumer_group, origin_mark) DO NOTHING
        RETURNING letter_id, consumer, origin_topic, origin_partition, origin_offset, consumer_group, origin_mark
        """

    /// Inserts letters in their order.
    ///
    /// - Returns: their numbers. A letter that another session inserted meanwhile has none.
    static func insert(
        _ letters: [ChangedLetter], _ transaction: PostgresTransaction
    ) async throws -> [LetterName: Int64] {
        var columns = LetterColumns()
        for letter in letters {
            if let first = letter.first { columns.append(first, letter.life) }
        }
        let rows = try await transaction.execute(insertLetters, columns.parameters)
        var numbers: [LetterName: Int64] = [:]
        for row in 0..<rows.rowCount { numbers[try name(rows, row, from: 1)] = try rows.int64(row, 0) }
        return numbers
    }

    // MARK: changed letters

    private static let updateLetters: Statement = """
        UPDATE dead_letters AS l SET
            state = c.state, reason = c.reason, attempts = c.attempts, delivery = c.delivery,
            stage = CASE WHEN c.message IS NULL THEN l.stage ELSE c.stage END,
            error_class = c.error_class, message = coalesce(c.message, l.message), fingerprint = c.fingerprint,
            first_error_class = c.first_error_class,
            first_message = CASE WHEN c.is_first THEN coalesce(c.message, l.first_message) ELSE l.first_message END,
            unanswered = 0, is_discard_open = c.is_discard_open, is_row_forgotten = c.is_row_forgotten,
            next_attempt_at = CASE
                WHEN c.due_ms IS NULL THEN l.next_attempt_at
                -- An operator requested it while it was in flight.
                WHEN l.state = 'retrying' AND c.state = 'pending' AND l.next_attempt_at IS NOT NULL
                    THEN l.next_attempt_at
                WHEN c.due_ms >= 0 THEN clock_timestamp() + c.due_ms * interval '1 ms' END,
            state_since = CASE WHEN l.state = c.state THEN l.state_since ELSE clock_timestamp() END
        FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) AS c (
            letter_id, state, reason, attempts, delivery, stage, error_class, message, fingerprint, first_error_class,
            is_first, due_ms, is_discard_open, is_row_forgotten)
        WHERE l.letter_id = c.letter_id
        """

    static func update(_ letters: [ChangedLetter], _ transaction: PostgresTransaction) async throws {
        var ids = Int64Array()
        var (states, reasons, stages, classes) = (TextArray(), TextArray(), TextArray(), TextArray())
        var (messages, fingerprints, firstClasses) = (TextArray(), TextArray(), TextArray())
        var (attempts, deliveries) = (Int32Array(), Int32Array())
        var (isFirst, areDiscardsOpen, areRowsForgotten) = (BoolArray(), BoolArray(), BoolArray())
        var due = Int64Array()
        for letter in letters {
            guard let id = letter.letterID else { continue }
            let life = letter.life
            ids.append(id)
            states.append(life.state.rawValue)
            reasons.append(life.reason.rawValue)
            attempts.append(life.attempts)
            deliveries.append(life.delivery)
            stages.append(life.failure?.stage)
            classes.append(life.errorClass)
            messages.append(life.failure?.message)
            fingerprints.append(life.fingerprint)
            firstClasses.append(life.firstErrorClass)
            isFirst.append(life.isFirstFailure)
            areDiscardsOpen.append(life.isDiscardOpen)
            areRowsForgotten.append(life.isRowForgotten)
            switch life.due {
            case .unchanged: due.appendNull()
            case .never: due.append(Int64(-1))
            case .after(let milliseconds): due.append(milliseconds)
            }
        }
        let parameters = Parameters {
            $0.append(ids)
            $0.append(states)
            $0.append(reasons)
            $0.append(attempts)
            $0.append(deliveries)
            $0.append(stages)
            $0.append(classes)
            $0.append(messages)
            $0.append(fingerprints)
            $0.append(firstClasses)
            $0.append(isFirst)
            $0.append(due)
            $0.append(areDiscardsOpen)
            $0.append(areRowsForgotten)
        }
        try await transaction.execute(updateLetters, parameters)
    }

    // MARK: what follows

    private static let insertHistory: Statement = """
        INSERT INTO dead_letter_history (letter_id, actor, action, from_state, to_state, reason)
        SELECT letter_id, 'dead-letter-handler', action, from_state, to_state, reason
        FROM unnest($1, $2, $3, $4, $5) WITH ORDINALITY
            AS entries (letter_id, action, from_state, to_state, reason, place)
        ORDER BY place
        """

    static func insertHistory(_ letters: [ChangedLetter], _ transaction: PostgresTransaction) async throws {
        var ids = Int64Array()
        var (actions, from, to, reasons) = (TextArray(), TextArray(), TextArray(), TextArray())
        for letter in letters {
            guard let id = letter.letterID else { continue }
            for entry in letter.life.history {
                ids.append(id)
                actions.append(entry.action)
                from.append(entry.from?.rawValue)
                to.append(entry.to.rawValue)
                reasons.append(entry.reason)
            }
        }
        let parameters = Parameters {
            $0.append(ids)
            $0.append(actions)
            $0.append(from)
            $0.append(to)
            $0.append(reasons)
        }
        try await transaction.execute(insertHistory, parameters)
    }
}

extension GroupKey: Comparable {
    static func < (left: GroupKey, right: GroupKey) -> Bool {
        (left.consumer, left.errorClass, left.fingerprint) < (right.consumer, right.errorClass, right.fingerprint)
    }
}
