import Kafka
import Postgres
import StreamCore
import TestKit
import Testing

@testable import DeadLetters

/// Ingests and schedules letters in a database, without Kafka.
struct Desk {
    let database: PostgresConnection
    /// The configuration for further sessions.
    let sessions: PostgresConfiguration
    let writer: IngestWriter
    let scheduler: RetryScheduler
    let configuration: DeadLetterHandlerConfiguration

    static func run(
        policies: [RetryPolicy] = [], _ change: (inout DeadLetterHandlerConfiguration) -> Void = { _ in },
        _ body: (Desk) async throws -> Void
    ) async throws {
        try await TestDatabase.withSchema(migrating: ["projections", "dead-letters"]) { postgres in
            let sessions = DeadLetterHandler.sessions(postgres)
            let database = try await PostgresConnection.connect(sessions)
            var configuration = DeadLetterHandlerConfiguration(consumers: ["orders"])
            change(&configuration)
            try await body(
                Desk(
                    database: database, sessions: sessions,
                    writer: IngestWriter(
                        policies: RetryPolicies(policies: policies), results: ReplayResults(), due: DueSignal(),
                        largestSet: configuration.sequenceLetters, blockedHeadMs: 60_000),
                    scheduler: RetryScheduler(connection: database, configuration: configuration),
                    configuration: configuration))
            await database.close()
        }
    }

    func ingest(_ notices: [LetterNotice]) async throws {
        try await database.withTransaction { try await writer.write(notices, in: $0) }
    }

    func ingest(_ letters: Letter...) async throws { try await ingest(letters.map { .letter($0) }) }

    func number(_ question: String) async throws -> Int64 {
        try await database.execute(.unprepared(question)).int64(0, 0)
    }

    func lines(_ question: String) async throws -> [String] {
        let rows = try await database.execute(.unprepared(question))
        return try (0..<rows.rowCount).map { row in
            try (0..<rows.columnCount).map { try rows.optionalString(row, $0) ?? "NULL" }.joined(separator: " ")
        }
    }

    func states() async throws -> [String] {
        try await lines("SELECT state FROM dead_letters ORDER BY letter_id")
    }

    /// Checks that the counts of the groups agree with the letters.
    func checkGroups(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let differences = try await lines(
            """
            SELECT coalesce(g.consumer, l.consumer), coalesce(g.error_class, l.error_class),
                concat_ws('/', g.pending, g.retrying, g.resolved, g.discarded),
                concat_ws('/', l.pending, l.retrying, l.resolved, l.discarded)
            FROM dead_letter_groups AS g FULL JOIN (
                SELECT consumer, error_class, fingerprint, count(*) FILTER (WHERE state = 'pending') AS pending,
                    count(*) FILTER (WHERE state = 'retrying') AS retrying,
                    count(*) FILTER (WHERE state = 'resolved') AS resolved,
                    count(*) FILTER (WHERE state = 'discarded') AS discarded
                FROM dead_letters GROUP BY consumer, error_class, fingerprint
            ) AS l USING (consumer, error_class, fingerprint)
            WHERE (coalesce(g.pending, -1), g.retrying, g.resolved, g.discarded) IS DISTINCT FROM
                (coalesce(l.pending, 0), coalesce(l.retrying, 0), coalesce(l.resolved, 0), coalesce(l.discarded, 0))
            """)
        #expect(differences == [], sourceLocation: sourceLocation)
        let lost = try await lines(
            """
            SELECT g.error_class, g.example_letter::text FROM dead_letter_groups AS g
            WHERE g.pending + g.retrying + g.resolved + g.discarded > 0 AND NOT EXISTS (
                SELECT FROM dead_letters AS l WHERE l.letter_id = g.example_letter
                    AND (l.consumer, l.error_class, l.fingerprint) = (g.consumer, g.error_class, g.fingerprint))
            """)
        #expect(lost == [], "groups whose example is not a letter of the group", sourceLocation: sourceLocation)
    }
}

@Suite struct IngestTests {
    @Test func aLetterIsStoredAsItIs() async throws {
        try await Desk.run { desk in
            var letter = plainLetter(message: "no JSON at 17")
            letter.value = nil
            letter.isValueWithConsumer = true
            letter.headers = [
                RecordHeader(name: "a", value: [0, 255]), RecordHeader(name: "b", value: nil),
                RecordHeader(name: "a", value: []),
            ]
            letter.eventID = EventID(high: 1, low: 2)
            letter.originAt = Timestamp(microseconds: 1_000_000)
            var bare = plainLetter(offset: 2, key: nil)
            bare.key = nil
            var long = plainLetter(offset: 3)
            long.key = Array(repeating: 7, count: 300)
            try await desk.ingest(letter, bare, long)
            let stored = try await desk.lines(
                """
                SELECT array_to_string(header_names, ','), encode(header_values[1], 'hex'),
                    (header_values[2] IS NULL)::text, octet_length(header_values[3])::text, value_kept,
                    (value IS NULL)::text, octet_length(sequence)::text, event_id::text,
                    extract(epoch FROM origin_at)::int::text, state, fingerprint
                FROM dead_letters ORDER BY letter_id LIMIT 1
                """)
            let fingerprint = letter.fingerprint
            #expect(
                stored == [
                    "a,b,a 00ff true 0 consumer true 32 00000000-0000-0001-0000-000000000002 1 pending \(fingerprint)"
                ])
            #expect(
                try await desk.lines(
                    """
                    SELECT coalesce(octet_length(sequence)::text, 'none'), cardinality(header_names)::text
                    FROM dead_letters ORDER BY letter_id OFFSET 1
                    """) == ["none 0", "32 0"])
            try await desk.checkGroups()
        }
    }

    @Test func severalNoticesOfOneLetterInABatch() async throws {
        try await Desk.run { desk in
            let name = plainLetter().name
            try await desk.ingest([
                .resolved(plainLetter(offset: 77).name, delivery: 1), .letter(plainLetter()),
                .letter(plainLetter()), .resolved(name, delivery: 2), .letter(plainLetter(.blocked, offset: 2)),
                .letter(plainLetter(offset: 3, delivery: 2, errorClass: "other")),
            ])
            #expect(try await desk.states() == ["resolved", "pending", "pending"])
            #expect(
                try await desk.lines("SELECT action FROM dead_letter_history ORDER BY letter_id, at")
                    == ["parked", "resolved", "parked", "parked"])
            try await desk.checkGroups()
        }
    }

    @Test func theFirstOfABlockedSequenceIsNextWhenTheOneBeforeIsOver() async throws {
        try await Desk.run { desk in
            try await desk.ingest(
                plainLetter(offset: 1), plainLetter(.blocked, offset: 2), plainLetter(.blocked, offset: 3),
                plainLetter(.blocked, offset: 9, key: "other"))
            // This letter is alone in its sequence: the event that it waited for is already resolved.
            let due = "SELECT origin_offset FROM dead_letters WHERE next_attempt_at IS NOT NULL ORDER BY 1"
            #expect(try await desk.lines(due.replacing("origin_offset", with: "origin_offset::text")) == ["9"])
            try await desk.ingest([.resolved(plainLetter(offset: 1).name, delivery: 1)])
            #expect(try await desk.lines(due.replacing("origin_offset", with: "origin_offset::text")) == ["2", "9"])
            // The scheduler sends all letters of both sequences.
            #expect(try await desk.scheduler.sendDue() == 3)
            #expect(
                try await desk.lines(
                    """
                    SELECT l.origin_offset::text, s.delivery::text, s.action
                    FROM dead_letter_sends AS s JOIN dead_letters AS l USING (letter_id) ORDER BY send_id
                    """) == ["2 2 apply", "3 2 apply", "9 2 apply"])
            // The first letter is answered while the second is in flight, so no later letter becomes due.
            try await desk.ingest([.resolved(plainLetter(offset: 2).name, delivery: 2)])
            #expect(try await desk.number("SELECT count(*) FROM dead_letters WHERE next_attempt_at IS NOT NULL") == 0)
            try await desk.ingest(plainLetter(.blocked, offset: 3, delivery: 2))
            #expect(try await desk.states() == ["resolved", "resolved", "pending", "retrying"])
            try await desk.checkGroups()
        }
    }

    @Test func aFailedHeadWaitsForAnOperator() async throws {
        try await Desk.run { desk in
            try await desk.ingest(plainLetter(offset: 1), plainLetter(offset: 2), plainLetter(.blocked, offset: 3))
            try await desk.ingest([.resolved(plainLetter(offset: 1).name, delivery: 1)])
            #expect(try await desk.scheduler.sendDue() == 0)
        }
    }

    @Test func policiesMakeLettersDue() async throws {
        let policy = RetryPolicy(errorClasses: ["sql_*"], initialDelayMs: 60_000, ceilingMs: 60_000)
        try await Desk.run(policies: [policy]) { desk in
            try await desk.ingest(plainLetter(offset: 1, errorClass: "sql_1"), plainLetter(offset: 2, key: "b"))
            #expect(
                try await desk.lines(
                    """
                    SELECT (next_attempt_at BETWEEN clock_timestamp() + interval '25 s'
                        AND clock_timestamp() + interval '60 s')::text FROM dead_letters ORDER BY letter_id
                    """) == ["true", "NULL"])
            #expect(try await desk.scheduler.sendDue() == 0)
        }
    }

    @Test func alertsOfNewGroupsAndCircuitBreakers() async throws {
        try await Desk.run { desk in
            try await desk.ingest([
                .letter(plainLetter(offset: 1, message: "no JSON at 1")),
                .letter(plainLetter(offset: 2, message: "no JSON at 2")),
                .letter(plainLetter(.blocked, offset: 3)),
                .breaker(consumer: "orders", isOpen: true, errorClass: "undefined_table", message: "no table"),
            ])
            try await desk.ingest(plainLetter(offset: 4, key: "b", message: "no JSON at 4"))
            try await desk.ingest([
                .breaker(consumer: "orders", isOpen: false, errorClass: "undefined_table", message: "")
            ])
            // A letter that fails with another error.
            try await desk.database.execute(
                script: "UPDATE dead_letters SET next_attempt_at = now() WHERE letter_id = 1")
            _ = try await desk.scheduler.sendDue()
            try await desk.ingest(plainLetter(offset: 1, delivery: 2, errorClass: "other", message: "other"))
            #expect(
                try await desk.lines(
                    """
                    SELECT kind, coalesce(error_class, '-'), coalesce(letter_id::text, '-'),
                        coalesce(letters::text, '-')
                    FROM dead_letter_alerts ORDER BY alert_id
                    """) == [
                        "circuit_breaker_opened undefined_table - -", "new_group invalid_json 1 2",
                        "circuit_breaker_closed undefined_table - -", "new_group other 1 1",
                    ])
            try await desk.checkGroups()
        }
    }

    @Test func retentionForgetsWhatIsOverAndNeverWhatIsOpen() async throws {
        try await Desk.run { desk in
            try await desk.ingest((1...6).map { .letter(plainLetter(offset: $0, key: "k\($0)")) })
            try await desk.database.execute(
                script: """
                    UPDATE dead_letters SET state = (ARRAY['pending', 'retrying', 'resolved', 'discarded', 'resolved',
                        'discarded'])[letter_id], state_since = now() - interval '8 days';
                    UPDATE dead_letters SET state_since = now() - interval '6 days' WHERE letter_id = 5;
                    INSERT INTO dead_letter_sends (letter_id, action, delivery) VALUES (6, 'discard', 2);
                    """)
            let retention = LetterRetention(connection: desk.database, days: 7, lettersAtOnce: 1)
            #expect(try await retention.prune() == 1)
            #expect(try await retention.prune() == 1)
            #expect(try await retention.prune() == 0)
            #expect(
                try await desk.lines("SELECT letter_id::text FROM dead_letters ORDER BY 1") == ["1", "2", "5", "6"])
            #expect(try await desk.number("SELECT count(DISTINCT letter_id) FROM dead_letter_history") == 4)
            try await desk.checkGroups()
        }
    }

    @Test func twoHandlersMayMeetOverOneLetter() async throws {
        try await TestDatabase.withSchema(migrating: ["projections", "dead-letters"]) { postgres in
            let writer = IngestWriter(
                policies: RetryPolicies(policies: []), results: ReplayResults(), due: DueSignal(), largestSet: 10_000,
                blockedHeadMs: 60_000)
            try await withThrowingTaskGroup { group in
                for _ in 0..<4 {
                    group.addTask {
                        let connection = try await PostgresConnection.connect(postgres)
                        for round in 0..<20 {
                            let letters = (1...50).map { number in
                                LetterNotice.letter(plainLetter(offset: Int64(round * 50 + number)))
                            }
                            try await connection.withTransaction { try await writer.write(letters, in: $0) }
                        }
                        await connection.close()
                    }
                }
                try await group.waitForAll()
            }
            let connection = try await PostgresConnection.connect(postgres)
            let rows = try await connection.execute(
                """
                SELECT count(*), (SELECT count(*) FROM dead_letter_history),
                    (SELECT sum(pending)::bigint FROM dead_letter_groups)
                FROM dead_letters
                """)
            #expect(try (0..<3).map { try rows.int64(0, $0) } == [1_000, 1_000, 1_000])
            await connection.close()
        }
    }

    /// The counts of the groups are correct after any changes of the letters.
    @Test(arguments: 0..<4)
    func groupsCountLettersExactly(_ run: Int) async throws {
        try await Desk.run(policies: [RetryPolicy(errorClasses: ["c1"], initialDelayMs: 1, ceilingMs: 1)]) { desk in
            var random = SystemRandomNumberGenerator()
            let classes = ["c1", "c2", "c3"]
            func name(_ offset: Int64) -> LetterName { plainLetter(offset: offset).name }
            for step in 0..<60 {
                let offsets = (0..<Int.random(in: 1...12, using: &random)).map { _ in Int64.random(in: 1...60) }
                switch Int.random(in: 0..<10, using: &random) {
                case 0...4:
                    try await desk.ingest(
                        offsets.map { offset in
                            let delivery = Int32.random(in: 1...3)
                            switch Int.random(in: 0..<6) {
                            case 0: return .resolved(name(offset), delivery: delivery)
                            case 1: return .discarded(name(offset), delivery: delivery, isRowKept: Bool.random())
                            case 2: return .letter(plainLetter(.blocked, offset: offset, delivery: delivery))
                            default:
                                return .letter(
                                    plainLetter(
                                        offset: offset, delivery: delivery, key: "k\(offset % 7)",
                                        errorClass: classes.randomElement() ?? "", message: "at \(offset)"))
                            }
                        })
                case 5, 6:
                    try await desk.database.execute(
                        script: """
                            UPDATE dead_letters SET next_attempt_at = now()
                            WHERE state = 'pending' AND origin_offset % 3 = \(step % 3)
                            """)
                    _ = try await desk.scheduler.sendDue()
                case 7:
                    try await desk.database.execute(
                        script: """
                            UPDATE dead_letters SET state = 'discarded', delivery = delivery + 1
                            WHERE state = 'pending' AND origin_offset % 5 = \(step % 5);
                            UPDATE dead_letters SET state = 'pending'
                            WHERE state = 'discarded' AND origin_offset % 11 = \(step % 11);
                            """)
                case 8:
                    try await desk.database.execute(
                        script: "DELETE FROM dead_letter_sends; UPDATE dead_letters SET state_since = '2020-01-01'")
                    _ = try await desk.scheduler.sendStuckAgain()
                default:
                    try await desk.database.execute(
                        script: """
                            UPDATE dead_letters SET state_since = '2020-01-01' WHERE origin_offset % 4 = \(step % 4)
                            """)
                    _ = try await LetterRetention(connection: desk.database, days: 7, lettersAtOnce: 3).prune()
                }
            }
            try await desk.checkGroups()
            #expect(try await desk.number("SELECT count(*) FROM dead_letters") > 0)
        }
    }

    @Test func manyLettersInOneStatementAreCountedQuickly() async throws {
        try await Desk.run { desk in
            let start = ContinuousClock.now
            for batch in 0..<5 {
                try await desk.ingest(
                    (0..<2_000).map { index in
                        let offset = Int64(batch * 2_000 + index)
                        return .letter(
                            plainLetter(offset: offset, key: "k\(offset % 500)", errorClass: "c\(offset % 20)"))
                    })
            }
            let took = ContinuousClock.now - start
            #expect(took < .seconds(60))
            try await desk.checkGroups()
            try await desk.database.execute(script: "UPDATE dead_letters SET next_attempt_at = now()")
            let scheduling = ContinuousClock.now
            var heads = 0
            let due = "SELECT count(*) FROM dead_letters WHERE state = 'pending' AND next_attempt_at <= now()"
            while try await desk.number(due) > 0 {
                heads += try await desk.scheduler.sendDue()
            }
            #expect(heads == 500)
            print("10,000 letters ingested in \(took), scheduled in \(ContinuousClock.now - scheduling)")
            try await desk.checkGroups()
        }
    }
}
