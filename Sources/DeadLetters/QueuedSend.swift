internal import Kafka
internal import Letters
internal import Postgres
internal import StreamCore

/// One row of `dead_letter_sends` with the data of its record.
struct QueuedSend: Sendable {
    let sendID: Int64
    let letterID: Int64
    let action: RetryRequest.Action
    let delivery: Int32
    let dialect: LetterDialect
    let consumer: String
    /// nil if unknown.
    let topic: String?
    let origin: TopicPartition
    let offset: Int64
    /// The consumer group that parked the event, and the mark of its record; see ``LetterName``.
    let group: String
    let mark: String
    let key: [UInt8]?
    let value: [UInt8]?
    /// Whether an operator edited the value; this is then the id of the edited event.
    let editedEventID: EventID?
    let isValueWithConsumer: Bool
    /// Whether the consumer may have deleted the event's row when it received a discard.
    let isRowForgotten: Bool
    let headers: [RecordHeader]

    /// Reads the next sends in order, limited by number and bytes (at least one), without those for some topics. The
    /// content of a send is fixed when it is queued, so a repeated send is equal. A discard has no value, so it can be
    /// sent whatever the event is. Sizes are read without the values (TOAST stores them).
    private static let readPage: Statement = """
        WITH page AS MATERIALIZED (
            SELECT s.send_id, coalesce(octet_length(l.key), 0) + 500 + CASE s.action
                WHEN 'apply' THEN coalesce(octet_length(e.value), octet_length(l.value), 0) ELSE 0 END AS size
            FROM dead_letter_sends AS s JOIN dead_letters AS l USING (letter_id)
            LEFT JOIN dead_letter_edits AS e ON e.letter_id = s.letter_id AND e.edit = coalesce(s.edit, l.edit)
            WHERE l.replay_topic IS NULL OR l.replay_topic <> ALL ($3)
            ORDER BY s.send_id LIMIT $1
        ), fitting AS (
            SELECT send_id FROM (
                SELECT send_id, size, sum(size) OVER (ORDER BY send_id) AS through FROM page) AS sized
            WHERE through - size < $2
        )
        SELECT s.send_id, s.letter_id, s.action, s.delivery, l.dialect, l.consumer, l.replay_topic, l.origin_topic,
            l.origin_partition, l.origin_offset, l.key,
            CASE s.action WHEN 'apply' THEN coalesce(e.value, l.value) END, e.event_id,
            s.action = 'apply' AND l.value_kept = 'consumer' AND e.value IS NULL, l.is_row_forgotten,
            CASE s.action WHEN 'apply' THEN l.header_names ELSE '{}' END,
            CASE s.action WHEN 'apply' THEN l.header_values ELSE '{}' END, l.consumer_group, l.origin_mark
        FROM fitting JOIN dead_letter_sends AS s USING (send_id) JOIN dead_letters AS l USING (letter_id)
        LEFT JOIN dead_letter_edits AS e ON e.letter_id = s.letter_id AND e.edit = coalesce(s.edit, l.edit)
        ORDER BY s.send_id
        """

    static func page(
        letters: Int, bytes: Int, without topics: [String], on connection: PostgresConnection
    ) async throws -> [QueuedSend] {
        var held = TextArray()
        for topic in topics { held.append(topic) }
        let parameters = Parameters {
            $0.append(Int64(letters))
            $0.append(Int64(bytes))
            $0.append(held)
        }
        let rows = try await connection.execute(readPage, parameters)
        return try (0..<rows.rowCount).map { try QueuedSend(rows, $0) }
    }

    private init(_ rows: QueryResult, _ row: Int) throws(PostgresError) {
        sendID = try rows.int64(row, 0)
        letterID = try rows.int64(row, 1)
        let word = try rows.string(row, 2)
        guard let action = RetryRequest.Action(rawValue: word) else {
            throw PostgresError(.decoding, "a letter's send has an unknown action")
        }
        self.action = action
        delivery = try rows.int32(row, 3)
        dialect = LetterDialect(rawValue: try rows.string(row, 4)) ?? .unknown
        consumer = try rows.string(row, 5)
        topic = try rows.optionalString(row, 6)
        origin = TopicPartition(topic: try rows.string(row, 7), partition: try rows.int32(row, 8))
        offset = try rows.int64(row, 9)
        key = rows.optionalBytes(row, 10)
        value = rows.optionalBytes(row, 11)
        editedEventID = try rows.optionalEventID(row, 12)
        isValueWithConsumer = try rows.bool(row, 13)
        isRowForgotten = try rows.bool(row, 14)
        let names = BinaryArray.elements(rows.bytes(row, 15))
        let values = BinaryArray.elements(rows.bytes(row, 16))
        group = try rows.string(row, 17)
        mark = try rows.string(row, 18)
        headers = zip(names, values).map { name, value in
            RecordHeader(name: String(decoding: name ?? [], as: UTF8.self), value: value)
        }
    }

    /// The headers of the record to send: the original ones, and for a consumer of Millrace those of the protocol.
    ///
    /// A record that goes back to its topic contains no headers of the letter. Otherwise it would look like a letter.
    func recordHeaders() -> RecordHeaders {
        let result = RecordHeaders(capacity: headers.count + 9)
        for header in headers where !LetterDialect.isAdded(header.name) {
            if let editedEventID, header.name == "event-id" {
                result.append(header.name, editedEventID.description.utf8Span.span)
            } else {
                result.append(header.name, header.value?.span)
            }
        }
        guard dialect == .millrace else { return result }
        let origin = RecordOrigin(partition: origin, offset: offset, timestampMs: Int64(mark))
        let request = RetryRequest(
            action, origin, delivery: Int(delivery), group: group.isEmpty ? nil : group,
            isValueKept: isValueWithConsumer, isForgotten: isRowForgotten && action == .apply)
        result.append(request.fields)
        return result
    }
}
