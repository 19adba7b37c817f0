import DeadLetters
import Postgres
import StreamCore
import TestKit

/// A schema with letters, and an operator's access to them.
struct LetterScene {
    let connection: PostgresConnection
    let store: DeadLetterStore
    static let audit = Audit(actor: "mara", reason: "the currency was fixed")

    static func run(_ body: (LetterScene) async throws -> Void) async throws {
        try await TestDatabase.withSchema(migrating: ["dead-letters"]) { configuration in
            var configuration = configuration
            configuration.statementTimeoutMs = 300_000
            let connection = try await PostgresConnection.connect(configuration)
            try await body(LetterScene(connection: connection, store: DeadLetterStore(connection)))
            await connection.close()
        }
    }

    /// Adds letters with consecutive numbers. Letter n has the key `order-<n % keys>`, the class `class_<n % 5>`, and n
    /// % 20 in hexadecimal as its fingerprint.
    func add(
        _ count: Int, consumer: String = "order-summary", keys: Int = 1_000, state: String = "pending",
        columns: String = "", values: String = ""
    ) async throws {
        try await connection.execute(
            .unprepared(
                """
                INSERT INTO dead_letters (consumer, origin_topic, origin_partition, origin_offset, key, value,
                    value_kept, header_names, header_values, sequence, event_id, event_type,
                    state, reason, stage, error_class,
                    message, first_error_class, first_message, fingerprint, dialect, replay_topic\(columns))
                SELECT '\(consumer)', 'order-events', 0, base + n, convert_to('order-' || n % \(keys), 'UTF8'),
                    convert_to('{"eventId":"' || n || '","payload":{"text":"' || repeat('x', 300) || '"}}', 'UTF8'),
                    'here', ARRAY['event-type', 'trace', 'empty'], ARRAY['OrderCreated'::bytea, NULL, ''::bytea],
                    convert_to('order-' || n % \(keys), 'UTF8'),
                    gen_random_uuid(), 'OrderCreated', '\(state)', 'failed',
                    'decode', 'class_' || n % 5, 'field ' || n % 20 || ' is wrong', 'class_' || n % 5, 'first',
                    lpad(to_hex(n % 20), 16, '0'), 'millrace', 'retry.\(consumer)'\(values)
                FROM (SELECT coalesce(max(letter_id), 0) AS base FROM dead_letters) AS last,
                    generate_series(1, \(count)) AS n
                """))
    }

    func count(_ condition: String, of table: String = "dead_letters") async throws -> Int64 {
        try await connection.execute(.unprepared("SELECT count(*) FROM \(table) WHERE \(condition)")).int64(0, 0)
    }

    func text(_ question: String) async throws -> String {
        try await connection.execute(.unprepared(question)).string(0, 0)
    }
}
