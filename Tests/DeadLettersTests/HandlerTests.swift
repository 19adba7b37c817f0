import DeadLetters
import Kafka
import Postgres
import StreamCore
import TestKit
import Testing

/// Runs the handler on real servers. The tests act as the consumer.
@Suite struct HandlerTests {
    /// Letters fail or are blocked, an operator retries one, it fails again, the event is repaired, and the letters are
    /// retried by policy, all in their order.
    @Test func theWholeLifeOfLetters() async throws {
        try await Scene.run { scene in
            let consumer = try await PlayedConsumer(scene)
            try await scene.withHandler {
                for offset in Int64(1)...3 { try await consumer.park("a", offset) }
                try await consumer.park("b", 4, errorClass: "other")
                try await scene.waitFor(4, "state = 'pending'")
                #expect(
                    try await scene.text(
                        "SELECT reason, error_class FROM dead_letters ORDER BY origin_offset")
                        == ["failed invalid_json", "blocked blocked", "blocked blocked", "failed other"])

                // An operator retries the first letter. It is sent alone and fails again.
                try await scene.execute("UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset = 1")
                try await consumer.play { await consumer.received.count == 1 }
                try await scene.waitFor(1, "attempts = 1 AND state = 'pending' AND delivery = 2")
                try await scene.waitFor(4, "state = 'pending'")

                // After the repair, the event is applied, and the letters that waited for it follow in order.
                await consumer.repair()
                try await scene.execute("UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset IN (1, 4)")
                try await consumer.play {
                    try await scene.number("SELECT count(*) FROM dead_letters WHERE state = 'resolved'") == 4
                }
            }
            #expect(await consumer.applied == ["a": [1, 2, 3], "b": [4]])
            let retry = try #require(await consumer.received.first)
            #expect(retry.key == "a" && retry.value == "value 1" && retry.delivery == 2 && retry.action == "apply")
            #expect(retry.headers["event-type"] == "OrderCreated")
            #expect(retry.headers["__dlq.errors.topic"] == "order-events")
            #expect(retry.headers["__dlq.errors.partition"] == "0")
            #expect(retry.headers["__dlq.errors.group"] == "millrace.\(scene.consumer).v1")
            #expect(retry.headers["millrace.reason"] == nil && retry.headers["__dlq.errors.message"] == nil)
            #expect(
                try await scene.text(
                    """
                    SELECT action, from_state, to_state FROM dead_letter_history
                    JOIN dead_letters USING (letter_id) WHERE origin_offset = 1 ORDER BY at
                    """) == [
                        "parked NULL pending", "sent pending retrying", "failed_again retrying pending",
                        "sent pending retrying", "resolved retrying resolved",
                    ])
            #expect(try await scene.number("SELECT count(*) FROM dead_letter_sends") == 0)
            await consumer.close()
        }
    }

    @Test func policiesRetryByThemselvesUntilTheirAttemptsEnd() async throws {
        try await Scene.run { scene in
            let consumer = try await PlayedConsumer(scene)
            let policy = RetryPolicy(errorClasses: ["sql_*"], initialDelayMs: 20, ceilingMs: 50, attemptsLimit: 3)
            try await scene.withHandler({ $0.policies = [policy] }) {
                try await consumer.park("a", 1, errorClass: "sql_23503")
                try await consumer.park("a", 2)
                try await consumer.play {
                    try await scene.number("SELECT count(*) FROM dead_letters WHERE attempts = 3") == 1
                }
                try await scene.waitFor(2, "state = 'pending' AND next_attempt_at IS NULL")
                #expect(await consumer.received.filter { $0.offset == 1 }.map(\.delivery) == [2, 3, 4])
            }
            await consumer.close()
        }
    }

    @Test func discardAndRestore() async throws {
        try await Scene.run { scene in
            let consumer = try await PlayedConsumer(scene)
            try await scene.withHandler {
                for offset in Int64(1)...2 { try await consumer.park("a", offset) }
                try await scene.waitFor(2, "state = 'pending'")
                // Discards the letter as an operator does.
                try await scene.execute(
                    """
                    WITH given_up AS (
                        UPDATE dead_letters SET state = 'discarded', delivery = delivery + 1, state_since = now(),
                            is_discard_open = true, is_row_forgotten = true
                        WHERE origin_offset = 1 RETURNING letter_id, delivery
                    ) INSERT INTO dead_letter_sends (letter_id, action, delivery)
                    SELECT letter_id, 'discard', delivery FROM given_up
                    """)
                // After the consumer has confirmed the discard, the handler sends the next letter, which only waited
                // for it.
                try await consumer.play {
                    try await scene.number("SELECT count(*) FROM dead_letters WHERE state = 'resolved'") == 1
                }
                #expect(await consumer.received.map(\.action) == ["discard", "apply"])
                #expect(await consumer.applied == ["a": [2]])
                try await scene.execute(
                    "UPDATE dead_letters SET state = 'pending', next_attempt_at = now() WHERE state = 'discarded'")
                await consumer.repair()
                try await consumer.play {
                    try await scene.number("SELECT count(*) FROM dead_letters WHERE state = 'resolved'") == 2
                }
            }
            #expect(
                try await scene.text(
                    """
                    SELECT action FROM dead_letter_history
                    JOIN dead_letters USING (letter_id) WHERE origin_offset = 1 ORDER BY at
                    """) == ["parked", "discard_confirmed", "sent", "resolved"])
            await consumer.close()
        }
    }

    @Test func duplicatesInTheTopicAndAConsumerThatForgotItsAnswer() async throws {
        try await Scene.run { scene in
            let consumer = try await PlayedConsumer(scene)
            try await scene.withHandler {
                let letter = ConsumerLetter(key: "a", offset: 1)
                for _ in 0..<3 { try await scene.send(letter) }
                try await scene.waitFor(1, "true")
                try await scene.execute("UPDATE dead_letters SET next_attempt_at = now()")
                try await consumer.play(answering: false) { await consumer.received.count == 1 }
                var answer = ConsumerLetter(reason: "resolved", key: "a", offset: 1, delivery: 2)
                try await scene.send(answer)
                try await scene.send(answer)
                // The answered transaction was rolled back. The result of the next attempt counts.
                answer.reason = "failed"
                try await scene.send(answer)
                try await scene.waitFor(1, "state = 'pending' AND attempts = 1")
                try await scene.send(letter)
                try await scene.send(ConsumerLetter(key: "z", offset: 9))
                try await scene.waitFor(2, "state = 'pending'")
            }
            #expect(
                try await scene.text(
                    """
                    SELECT action FROM dead_letter_history
                    JOIN dead_letters USING (letter_id) WHERE origin_offset = 1 ORDER BY at
                    """) == ["parked", "sent", "resolved", "reopened"])
            await consumer.close()
        }
    }

    @Test func unansweredLettersAreSentAgain() async throws {
        try await Scene.run { scene in
            let consumer = try await PlayedConsumer(scene)
            try await scene.withHandler({ $0.stuckAfterMs = 1_000 }) {
                for offset in Int64(1)...2 { try await consumer.park("a", offset) }
                await consumer.repair()
                try await scene.waitFor(2, "state = 'pending'")
                try await scene.execute("UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset = 1")
                try await consumer.play(answering: false) { await consumer.received.count == 1 }
                try await consumer.play {
                    try await scene.number("SELECT count(*) FROM dead_letters WHERE state = 'resolved'") == 2
                }
            }
            #expect(await consumer.received.prefix(2).map(\.delivery) == [2, 3])
            #expect(await consumer.applied == ["a": [1, 2]])
            await consumer.close()
        }
    }

    /// The sender stops after Kafka has acknowledged the record and before the row is deleted. The consumer receives
    /// the same delivery twice.
    @Test func aCrashBetweenAcknowledgementAndDeletion() async throws {
        try await Scene.run { scene in
            try await scene.execute(
                """
                CREATE SEQUENCE kills;
                CREATE FUNCTION kill_once() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF nextval('kills') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
                    RETURN NULL;
                END $$;
                CREATE TRIGGER kill_once BEFORE DELETE ON dead_letter_sends
                FOR EACH STATEMENT EXECUTE FUNCTION kill_once();
                """)
            let consumer = try await PlayedConsumer(scene)
            try await scene.withHandler {
                for offset in Int64(1)...3 { try await consumer.park("a", offset) }
                await consumer.repair()
                try await scene.waitFor(3, "state = 'pending'")
                try await scene.execute("UPDATE dead_letters SET next_attempt_at = now()")
                try await consumer.play { await consumer.received.count == 4 }
                try await scene.waitFor(3, "state = 'resolved'")
                try await eventually { try await scene.number("SELECT count(*) FROM dead_letter_sends") == 0 }
            }
            #expect(await consumer.received.map(\.offset) == [1, 1, 2, 3])
            #expect(await consumer.received.allSatisfy { $0.delivery == 2 })
            #expect(await consumer.applied == ["a": [1, 2, 3]])
            await consumer.close()
        }
    }

    @Test func lettersOfOthersGoBackToTheirTopic() async throws {
        try await Scene.run { scene in
            func header(_ name: String, _ value: [UInt8]) -> RecordHeader { RecordHeader(name: name, value: value) }
            let spring = [
                header("own", [1, 0, 255]), header("kafka_dlt-original-topic", Array(scene.originalTopic.utf8)),
                header("kafka_dlt-original-partition", [0, 0, 0, 0]),
                header("kafka_dlt-original-offset", [0, 0, 0, 0, 0, 0, 1, 0]),
                header("kafka_dlt-exception-fqcn", Array("java.lang.IllegalStateException".utf8)),
            ]
            try await scene.producer.send(topic: scene.foreignTopic, key: [9], value: [0, 1], headers: spring)
            try await scene.producer.send(topic: scene.foreignTopic, key: nil, value: nil, headers: [])
            try await scene.withHandler {
                try await scene.waitFor(2, "state = 'pending'")
                try await scene.execute("UPDATE dead_letters SET next_attempt_at = now()")
                try await scene.waitFor(1, "state = 'resolved' AND dialect = 'spring' AND origin_offset = 256")
                // The origin of the other letter is unknown.
                try await scene.waitFor(1, "state = 'pending' AND dialect = 'unknown' AND next_attempt_at IS NULL")
                #expect(
                    try await scene.text(
                        """
                        SELECT action, to_state FROM dead_letter_history JOIN dead_letters USING (letter_id)
                        ORDER BY dialect, at
                        """) == [
                            "parked pending", "sent retrying", "replayed resolved",
                            "parked pending", "sent retrying", "send_failed pending",
                        ])
            }
            let reader = try Consumer(scene.kafka, group: TestKafka.uniqueName("group"))
            try await reader.assign([TopicPartition(topic: scene.originalTopic, partition: 0): .beginning])
            var replayed: [(key: [UInt8]?, value: [UInt8]?, headers: [RecordHeader])] = []
            try await eventually {
                if case .batch(let batch) = try await reader.poll(BatchLimits()) {
                    for view in batch {
                        replayed.append((bytes(view.key), bytes(view.value), view.headers))
                    }
                }
                return !replayed.isEmpty
            }
            #expect(replayed.count == 1 && replayed[0].key == [9] && replayed[0].value == [0, 1])
            #expect(replayed[0].headers == [header("own", [1, 0, 255])])
            _ = await reader.close(timeoutMs: 5_000)
        }
    }

    @Test func anEditedValueIsWhatIsSent() async throws {
        try await Scene.run { scene in
            let consumer = try await PlayedConsumer(scene)
            try await scene.withHandler {
                var letter = ConsumerLetter(key: "a", value: "wrong", offset: 1)
                letter.headers = [RecordHeader(name: "event-id", value: Array("old".utf8))]
                try await scene.send(letter)
                try await scene.waitFor(1, "state = 'pending'")
                try await scene.execute(
                    """
                    INSERT INTO dead_letter_edits (letter_id, edit, value, event_id, actor, reason)
                    SELECT letter_id, edits.edit, convert_to('value ' || edits.edit, 'UTF8'),
                        ('00000000-0000-0000-0000-00000000000' || edits.edit)::uuid, 'alice', 'typo'
                    FROM dead_letters, (VALUES (1), (2)) AS edits (edit);
                    """)
                try await scene.execute("UPDATE dead_letters SET next_attempt_at = now()")
                try await consumer.play(answering: false) { await consumer.received.count == 1 }
            }
            let retry = try #require(await consumer.received.first)
            #expect(retry.value == "value 2")
            #expect(retry.headers["event-id"] == "00000000-0000-0000-0000-000000000002")
            #expect(try await scene.text("SELECT convert_from(value, 'UTF8') FROM dead_letters") == ["wrong"])
            await consumer.close()
        }
    }

    /// The retry topic of a consumer does not exist any more. Its letters wait, and those of other consumers are sent.
    @Test func aTopicThatIsNotThereHoldsUpNobody() async throws {
        try await Scene.run { scene in
            let consumer = try await PlayedConsumer(scene)
            try await scene.withHandler {
                for offset in Int64(1)...4 {
                    try await scene.send(ConsumerLetter(key: "k\(offset)", offset: offset))
                }
                try await scene.waitFor(4, "state = 'pending'")
                try await scene.execute(
                    """
                    UPDATE dead_letters SET replay_topic = CASE origin_offset WHEN 1 THEN 'retry.gone'
                        WHEN 2 THEN 'no topic at all!' ELSE replay_topic END, next_attempt_at = now()
                    """)
                try await consumer.play(answering: false) { await consumer.received.count == 2 }
                try await scene.waitFor(2, "state = 'pending' AND next_attempt_at IS NULL AND origin_offset < 3")
                #expect(
                    try await scene.text(
                        """
                        SELECT h.reason FROM dead_letter_history AS h JOIN dead_letters USING (letter_id)
                        WHERE action = 'send_failed' ORDER BY origin_offset
                        """) == ["topic retry.gone does not exist", "topic no topic at all! does not exist"])
                // The topic exists again.
                try await scene.execute(
                    """
                    UPDATE dead_letters SET replay_topic = '\(scene.retryTopic)', next_attempt_at = now()
                    WHERE state = 'pending'
                    """)
                try await consumer.play(answering: false) { await consumer.received.count == 4 }
            }
            await consumer.close()
        }
    }

    /// The broker never accepts one of the records. Only this one is returned.
    @Test func aRecordThatIsTooLargeIsGivenBackAlone() async throws {
        try await Scene.run { scene in
            let consumer = try await PlayedConsumer(scene)
            try await scene.withHandler {
                for offset in Int64(1)...5 { try await scene.send(ConsumerLetter(key: "k\(offset)", offset: offset)) }
                try await scene.waitFor(5, "state = 'pending'")
                try await scene.execute(
                    """
                    UPDATE dead_letters SET value = decode(repeat('00', 3000000), 'hex') WHERE origin_offset = 3;
                    UPDATE dead_letters SET next_attempt_at = now();
                    """)
                try await consumer.play(answering: false) { await Set(consumer.received.map(\.offset)).count == 4 }
                try await scene.waitFor(1, "state = 'pending' AND origin_offset = 3")
            }
            #expect(await Set(consumer.received.map(\.offset)) == [1, 2, 4, 5])
            await consumer.close()
        }
    }

    @Test func twoHandlersAtOnce() async throws {
        try await Scene.run(partitions: 4) { scene in
            let consumer = try await PlayedConsumer(scene, partitions: 4)
            try await scene.withHandler(handlers: 2) {
                for offset in Int64(1)...200 { try await consumer.park("k\(offset % 20)", offset) }
                await consumer.repair()
                try await scene.waitFor(200, "state = 'pending'")
                try await scene.execute("UPDATE dead_letters SET next_attempt_at = now() WHERE reason = 'failed'")
                // Ends the session of the sender while it sends.
                try await scene.execute(
                    """
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE application_name = 'handler-\(scene.postgres.schema)'
                        AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)
                    """)
                try await consumer.play {
                    try await scene.number("SELECT count(*) FROM dead_letters WHERE state = 'resolved'") == 200
                }
            }
            let applied = await consumer.applied
            #expect(applied.count == 20 && applied.values.allSatisfy { $0 == $0.sorted() && $0.count == 10 })
            #expect(
                try await scene.text(
                    """
                    SELECT sum(pending)::text, sum(retrying)::text, sum(resolved)::text FROM dead_letter_groups
                    """) == ["0 0 200"])
            await consumer.close()
        }
    }

    @Test func aWrongConfigurationDoesNotRun() async throws {
        let handler = DeadLetterHandler(
            configuration: DeadLetterHandlerConfiguration(consumers: []),
            postgres: PostgresConfiguration(), kafka: KafkaClientConfiguration(bootstrapServers: "none"),
            logger: testLogger)
        await #expect(throws: DeadLetterHandlerError.self) { try await handler.run() }
    }
}

private func bytes(_ span: Span<UInt8>?) -> [UInt8]? {
    guard let span else { return nil }
    return span.indices.map { span[$0] }
}
