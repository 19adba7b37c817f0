import Kafka
import Letters
import StreamCore
import Testing

@testable import DeadLetters

@Suite struct ReaderTests {
    private static let place = TopicPartition(topic: "dlq.orders", partition: 2)
    private static let ours = LetterReader(.consumer(name: "orders", retryTopic: "retry.orders"))

    private func record(_ headers: [(String, [UInt8]?)], key: String? = "k", value: String? = "v") -> LetterRecord {
        LetterRecord(
            topicPartition: Self.place, offset: 99, timestampMs: 1_000, key: key.map { Array($0.utf8) },
            value: value.map { Array($0.utf8) }, headers: headers.map { RecordHeader(name: $0, value: $1) })
    }

    private func record(_ headers: [(String, String)], key: String? = "k", value: String? = "v") -> LetterRecord {
        record(headers.map { ($0, Array($1.utf8)) }, key: key, value: value)
    }

    private func letter(_ reader: LetterReader, _ record: LetterRecord) throws -> Letter {
        guard case .letter(let letter) = reader.read(record) else {
            throw Unexpected()
        }
        return letter
    }

    private struct Unexpected: Error {}

    private func foreign(_ dialect: LetterDialect, _ consumer: String? = nil) -> LetterReader {
        LetterReader(.foreign(dialect: dialect, consumer: consumer))
    }

    private static let origin = [
        ("__dlq.errors.topic", "order-events"), ("__dlq.errors.partition", "3"), ("__dlq.errors.offset", "41"),
    ]

    // MARK: letters of Millrace

    @Test func aConsumersLetter() throws {
        let id = "6f1f2f9e-08a5-4f4f-9a55-5ac4d8c0b9d1"
        let letter = try letter(
            Self.ours,
            record(
                [("event-type", "OrderCreated"), ("traceparent", "00-1")] + Self.origin + [
                    ("__dlq.errors.delivery.count", "3"), ("__dlq.errors.message", "bad amount"),
                    ("millrace.reason", "failed"), ("millrace.order", "key"), ("millrace.stage", "apply"),
                    ("millrace.error.class", "sql_23505"), ("millrace.origin.timestamp", "1700000000123"),
                    ("millrace.event-id", id), ("__dlq.errors.group", "millrace.orders.v2"),
                ]))
        #expect(
            letter.name
                == LetterName(
                    consumer: "orders", group: "millrace.orders.v2",
                    origin: TopicPartition(topic: "order-events", partition: 3), offset: 41, mark: "1700000000123"))
        #expect(letter.headers.map(\.name) == ["event-type", "traceparent"])
        #expect(letter.isOrdered && letter.delivery == 3 && letter.dialect == .millrace)
        #expect(letter.reason == .failed && letter.stage == "apply" && letter.errorClass == "sql_23505")
        #expect(letter.message == "bad amount" && letter.replayTopic == "retry.orders")
        #expect(letter.eventID == EventID(id) && letter.eventType == "OrderCreated")
        #expect(letter.originAt == Timestamp(microseconds: 1_700_000_000_123_000))
        #expect(letter.key == Array("k".utf8) && letter.value == Array("v".utf8))
    }

    /// SQLSTATEs have capitals, and the policies for retries name them.
    @Test(arguments: ["08006", "23503", "40001", "40P01", "55006", "55P03", "57014"])
    func theClassOfATransientErrorIsKeptAndRetried(state: String) throws {
        let headers = Self.origin + [("millrace.reason", "failed"), ("millrace.error.class", "sql_\(state)")]
        let letter = try letter(Self.ours, record(headers))
        #expect(letter.errorClass == "sql_\(state)")
        #expect(RetryPolicy.transientLooking.covers(letter.errorClass))
    }

    /// The records of such a topic keep the headers of Debezium or of a CloudEvents producer.
    @Test(arguments: ["eventType", "ce_type"])
    func theTypeOfAForeignEvent(header: String) throws {
        let headers = [(header, "ParcelSent")] + Self.origin + [("millrace.reason", "failed")]
        #expect(try letter(Self.ours, record(headers)).eventType == "ParcelSent")
        #expect(try letter(Self.ours, record(headers + [("event-type", "Ours")])).eventType == "Ours")
    }

    @Test func orderNoneAndNoKeyMakeNoSequence() throws {
        let headers = Self.origin + [("millrace.reason", "failed")]
        #expect(try letter(Self.ours, record(headers)).isOrdered)
        #expect(try !letter(Self.ours, record(headers + [("millrace.order", "none")])).isOrdered)
        #expect(try !letter(Self.ours, record(headers, key: nil)).isOrdered)
        #expect(try letter(Self.ours, record(headers, key: "")).isOrdered)
    }

    @Test func blockedLettersAreOneGroup() throws {
        let headers = Self.origin + [("millrace.reason", "blocked")]
        let one = try letter(Self.ours, record(headers + [("__dlq.errors.message", "behind 1")]))
        let other = try letter(Self.ours, record(headers + [("__dlq.errors.message", "after another")]))
        #expect(one.reason == .blocked && one.errorClass == "blocked" && one.stage == nil)
        #expect(one.fingerprint == other.fingerprint)
    }

    @Test func answersAndCircuitBreakers() {
        let name = LetterName(
            consumer: "orders", origin: TopicPartition(topic: "order-events", partition: 3), offset: 41)
        let count = [("__dlq.errors.delivery.count", "2")]
        #expect(
            Self.ours.read(record(Self.origin + count + [("millrace.reason", "resolved")], value: nil))
                == .resolved(name, delivery: 2))
        #expect(
            Self.ours.read(record(Self.origin + [("millrace.reason", "discarded")], value: nil))
                == .discarded(name, delivery: nil, isRowKept: false))
        #expect(
            Self.ours.read(
                record(
                    [
                        ("millrace.reason", "circuit-breaker-opened"), ("millrace.error.class", "sql_42P01"),
                        ("__dlq.errors.message", "no table"),
                    ], key: nil, value: nil))
                == .breaker(consumer: "orders", isOpen: true, errorClass: "sql_42P01", message: "no table"))
    }

    @Test func aValueInTheConsumersDatabase() throws {
        let headers = Self.origin + [("millrace.reason", "failed"), ("millrace.value.kept", "database")]
        #expect(try letter(Self.ours, record(headers, value: nil)).isValueWithConsumer)
        // The header contradicts the record, which has a value.
        #expect(try !letter(Self.ours, record(headers)).isValueWithConsumer)
    }

    @Test(arguments: [
        [],
        [("millrace.reason", "failed")],
        [("millrace.reason", "resolved"), ("__dlq.errors.topic", "order-events")],
        [
            ("millrace.reason", "failed"), ("__dlq.errors.topic", "order events!"), ("__dlq.errors.partition", "1"),
            ("__dlq.errors.offset", "1"),
        ],
        [
            ("millrace.reason", "failed"), ("__dlq.errors.topic", "order-events"), ("__dlq.errors.partition", "-1"),
            ("__dlq.errors.offset", "1"),
        ],
        [
            ("millrace.reason", "failed"), ("__dlq.errors.topic", "order-events"),
            ("__dlq.errors.partition", "99999999999"), ("__dlq.errors.offset", "999999999999999999999"),
        ],
    ])
    func withoutAWholeOriginItBeganWhereItLies(_ headers: [(String, String)]) throws {
        let letter = try letter(Self.ours, record(headers))
        #expect(letter.name == LetterName(consumer: "orders", origin: Self.place, offset: 99, mark: letter.name.mark))
        #expect(letter.dialect == .unknown || letter.dialect == .kip1191)
        #expect(letter.errorClass == "unknown" && !letter.isOrdered && letter.reason == .failed)
        #expect(letter.key == Array("k".utf8) && letter.value == Array("v".utf8))
        #expect(letter.headers.map(\.name) == headers.map(\.0))
    }

    @Test func garbageIsCleanText() throws {
        let garbage: [UInt8] = [0xFF, 0x00, 0x41, 0xC3, 0x28, 0x00] + Array(repeating: 0xE2, count: 3_000)
        var headers: [(String, [UInt8]?)] = Self.origin.map { ($0, Array($1.utf8)) }
        headers += [
            ("millrace.reason", Array("no-such-reason".utf8)), ("millrace.error.class", garbage),
            ("__dlq.errors.message", garbage), ("millrace.stage", garbage), ("event-type", garbage),
            ("millrace.event-id", garbage), ("__dlq.errors.delivery.count", garbage), ("empty", []), ("null", nil),
        ]
        let letter = try letter(Self.ours, record(headers))
        #expect(letter.reason == .failed && letter.delivery == 1 && letter.eventID == nil)
        for text in [letter.message, letter.errorClass, letter.stage ?? "", letter.eventType ?? ""] {
            #expect(!text.utf8.contains(0) && text.utf8.count <= 1_000)
        }
        #expect(letter.message.hasPrefix("\u{FFFD}A\u{FFFD}("))
        #expect(letter.headers.map(\.name) == ["event-type", "empty", "null"])
        #expect(letter.headers.map(\.value) == [garbage, [], nil])
    }

    @Test func textsAreCutAtCharacters() {
        #expect(LetterText.cut("aé", limit: 2) == "a")
        #expect(LetterText.cut("aé", limit: 3) == "aé")
        #expect(LetterText.clean(Array("a€€".utf8), limit: 5) == "a€")
        #expect(LetterText.cut("👍👍", limit: 7) == "👍")
    }

    @Test(arguments: [
        ("java.lang.NullPointerException", "null_pointer_exception"),
        ("com.fasterxml.jackson.core.JsonParseException", "json_parse_exception"),
        ("JSONError", "json_error"), ("Outer$InnerError", "inner_error"), ("sql_23505", "sql_23505"),
        ("invalid json!", "invalid_json"), ("", "unknown"), ("...", "unknown"), ("Ünknown", "nknown"),
        (String(repeating: "x", count: 500), String(repeating: "x", count: 100)),
    ])
    func errorClasses(_ name: String, _ expected: String) {
        #expect(LetterText.errorClass(name) == expected)
    }

    // MARK: letters of other programs

    @Test(arguments: [LetterDialect.auto, .kip1191])
    func shareGroup(_ dialect: LetterDialect) throws {
        let letter = try letter(
            foreign(dialect),
            record(
                Self.origin + [
                    ("__dlq.errors.group", "billing"), ("__dlq.errors.delivery.count", "5"),
                    ("__dlq.errors.message", "Offset delivery count exceeded the threshold."),
                ], key: nil, value: nil))
        #expect(
            letter.name
                == LetterName(
                    consumer: "billing", origin: TopicPartition(topic: "order-events", partition: 3),
                    offset: 41, mark: letter.name.mark))
        #expect(letter.dialect == .kip1191 && letter.replayTopic == "order-events" && !letter.isOrdered)
        // The broker's delivery count is not our count.
        #expect(letter.errorClass == "delivery_count_exceeded" && letter.delivery == 1)
    }

    @Test(arguments: [LetterDialect.auto, .streams])
    func streams(_ dialect: LetterDialect) throws {
        let letter = try letter(
            foreign(dialect, "enricher"),
            record([
                ("own", "1"),
                ("__streams.errors.exception", "org.apache.kafka.common.errors.SerializationException: no Avro"),
                ("__streams.errors.message", "no Avro"), ("__streams.errors.stacktrace", "at …"),
                ("__streams.errors.topic", "clicks"), ("__streams.errors.partition", "0"),
                ("__streams.errors.offset", "7"),
            ]))
        #expect(
            letter.name
                == LetterName(
                    consumer: "enricher", origin: TopicPartition(topic: "clicks", partition: 0),
                    offset: 7, mark: letter.name.mark))
        #expect(letter.dialect == .streams && letter.errorClass == "serialization_exception")
        #expect(letter.message == "no Avro" && letter.replayTopic == "clicks")
        #expect(letter.headers.count == 7)
    }

    @Test(arguments: [LetterDialect.auto, .connect])
    func connect(_ dialect: LetterDialect) throws {
        let letter = try letter(
            foreign(dialect),
            record([
                ("__connect.errors.topic", "orders"), ("__connect.errors.partition", "1"),
                ("__connect.errors.offset", "12"), ("__connect.errors.connector.name", "s3-sink"),
                ("__connect.errors.task.id", "0"), ("__connect.errors.stage", "VALUE_CONVERTER"),
                ("__connect.errors.class.name", "org.apache.kafka.connect.json.JsonConverter"),
                ("__connect.errors.exception.class.name", "org.apache.kafka.connect.errors.DataException"),
                ("__connect.errors.exception.message", "Converting byte[] failed"),
            ]))
        #expect(
            letter.name
                == LetterName(
                    consumer: "s3-sink", origin: TopicPartition(topic: "orders", partition: 1),
                    offset: 12, mark: letter.name.mark))
        #expect(letter.dialect == .connect && letter.stage == "value_converter")
        #expect(letter.errorClass == "data_exception" && letter.message == "Converting byte[] failed")
    }

    @Test(arguments: [LetterDialect.auto, .spring])
    func springsBinaryNumbers(_ dialect: LetterDialect) throws {
        func text(_ text: String) -> [UInt8] { Array(text.utf8) }
        let letter = try letter(
            foreign(dialect),
            record([
                ("kafka_dlt-original-topic", text("orders")), ("kafka_dlt-original-partition", [0, 0, 1, 2]),
                ("kafka_dlt-original-offset", [0, 0, 0, 1, 0, 0, 0, 5]),
                ("kafka_dlt-original-timestamp", [0, 0, 1, 0x8B, 0xCF, 0xE5, 0x68, 0]),
                ("kafka_dlt-original-timestamp-type", text("CreateTime")),
                ("kafka_dlt-original-consumer-group", text("shipping")),
                (
                    "kafka_dlt-exception-fqcn",
                    text("org.springframework.kafka.listener.ListenerExecutionFailedException")
                ),
                ("kafka_dlt-exception-cause-fqcn", text("java.lang.IllegalStateException")),
                ("kafka_dlt-exception-message", text("no stock")), ("kafka_dlt-exception-stacktrace", text("at …")),
            ]))
        #expect(
            letter.name
                == LetterName(
                    consumer: "shipping", origin: TopicPartition(topic: "orders", partition: 258),
                    offset: 4_294_967_301, mark: letter.name.mark))
        #expect(letter.dialect == .spring && letter.errorClass == "illegal_state_exception")
        #expect(letter.message == "no stock" && letter.replayTopic == "orders")
        #expect(letter.originAt == Timestamp(microseconds: 1_700_000_000_000_000))
    }

    @Test func springsNumbersAsTextAndItsRetryTopics() throws {
        let letter = try letter(
            foreign(.spring),
            record([
                ("kafka_original-topic", "orders"), ("kafka_original-partition", "1234"),
                ("kafka_original-offset", "12345678"), ("kafka_dlt-original-topic", "orders-retry-2"),
                ("kafka_exception-fqcn", "java.io.IOException"),
            ]))
        #expect(letter.name.origin == TopicPartition(topic: "orders", partition: 1_234))
        #expect(letter.name.offset == 12_345_678 && letter.errorClass == "io_exception")
    }

    @Test(arguments: [
        ("kafka_dlt-original-partition", [UInt8]([1, 2, 3])), ("kafka_dlt-original-partition", [0xFF, 0, 0, 1]),
        ("kafka_dlt-original-offset", []), ("kafka_dlt-original-topic", [0xFF]),
    ])
    func springsGarbage(_ name: String, _ value: [UInt8]) throws {
        var headers: [(String, [UInt8]?)] = [
            ("kafka_dlt-original-topic", Array("orders".utf8)), ("kafka_dlt-original-partition", [0, 0, 0, 1]),
            ("kafka_dlt-original-offset", [0, 0, 0, 0, 0, 0, 0, 5]),
        ]
        headers.append((name, value))
        let letter = try letter(foreign(.auto), record(headers))
        #expect(
            letter.name == LetterName(consumer: "dlq.orders", origin: Self.place, offset: 99, mark: letter.name.mark))
        #expect(letter.dialect == .spring)
    }

    @Test func aForeignTopicIsNeverOurs() throws {
        // A foreign writer must not be able to make the handler write to a retry topic.
        let letter = try letter(
            foreign(.auto), record(Self.origin + [("millrace.reason", "failed"), ("millrace.consumer", "orders")]))
        #expect(letter.dialect == .kip1191 && letter.replayTopic == "order-events")
    }

    @Test func aLetterIsNotReplayedToWhereItLies() throws {
        let letter = try letter(
            foreign(.auto),
            record([
                ("__streams.errors.topic", "dlq.orders"), ("__streams.errors.partition", "0"),
                ("__streams.errors.offset", "7"),
            ]))
        #expect(letter.replayTopic == nil)
    }

    @Test func aConfiguredDialectThatTheLetterDoesNotSpeak() throws {
        let letter = try letter(
            foreign(.connect),
            record([
                ("__streams.errors.topic", "clicks"), ("__streams.errors.partition", "0"),
                ("__streams.errors.offset", "7"),
            ]))
        #expect(letter.dialect == .streams && letter.name.origin.topic == "clicks")
        let bare = try self.letter(foreign(.connect, "sink"), record([(String, String)]()))
        #expect(bare.dialect == .unknown && bare.name.consumer == "sink" && bare.errorClass == "unknown")
    }

    @Test func recordsHaveIdsOfTheirOwn() {
        var ids: Set<EventID> = []
        for partition in 0..<10 {
            for offset in 0..<1_000 {
                let record = LetterRecord(
                    topicPartition: TopicPartition(topic: "dlq.orders", partition: Int32(partition)),
                    offset: Int64(offset))
                ids.insert(DeadLetterIngest.eventID(of: record))
                #expect(DeadLetterIngest.eventID(of: record) == DeadLetterIngest.eventID(of: record))
            }
        }
        #expect(ids.count == 10_000)
        #expect(ids.first?.description.dropFirst(14).first == "8")
    }
}
