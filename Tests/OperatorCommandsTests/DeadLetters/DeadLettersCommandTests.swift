import ArgumentParser
import Catalog
import CommandSupport
import DeadLetters
import Events
import Foundation
import Migrations
import Orders
import Postgres
import StreamCore
import TestKit
import Testing

@testable import RepairCommands

@Suite struct DeadLettersCommandTests {
    struct Scene {
        let connection: PostgresConnection
        let store: DeadLetterStore
        let configuration: PostgresConfiguration

        /// The letter's event lacks its currency.
        static let value = #"{"eventId":"11111111-1111-4111-8111-111111111111","eventType":"PaymentCompleted"}"#

        func add(key: String, value: String = value) async throws {
            try await connection.execute(
                """
                INSERT INTO dead_letters (consumer, origin_topic, origin_partition, origin_offset, key, value,
                    value_kept, header_names, header_values, sequence, event_id, event_type,
                    state, reason, stage, error_class,
                    message, first_error_class, first_message, fingerprint, dialect, replay_topic)
                SELECT 'order-summary', 'payment-events', 3, coalesce(max(letter_id), 0) + 17, convert_to($1, 'UTF8'),
                    convert_to($2, 'UTF8'), 'here', ARRAY['event-type'], ARRAY['PaymentCompleted'::bytea],
                    convert_to($1, 'UTF8'), '11111111-1111-4111-8111-111111111111', 'PaymentCompleted', 'pending',
                    'failed', 'decode', 'missing_field', 'missing_field at $.payload.currency: the field is absent',
                    'missing_field', 'the same', '9f3c2a1b00000000', 'millrace', 'retry.order-summary' FROM dead_letters
                """,
                Parameters {
                    $0.append(key)
                    $0.append(value)
                })
        }

        func text(_ question: String) async throws -> String {
            try await connection.execute(.unprepared(question)).string(0, 0)
        }
    }

    static func run(_ body: (Scene) async throws -> Void) async throws {
        try await TestDatabase.withSchema(migrating: ["dead-letters"]) { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            try await body(
                Scene(connection: connection, store: DeadLetterStore(connection), configuration: configuration))
            await connection.close()
        }
    }

    static let corrected = #"""
        {"eventId":"22222222-2222-4222-8222-222222222222","eventType":"PaymentCompleted","aggregateId":"pay-1",
         "aggregateType":"Payment","sequence":1,"timestamp":"2026-03-01T12:00:00Z","version":1,"causationId":"cause",
         "payload":{"orderId":"ord-1","amount":10.10,"currency":"EUR","method":"card"}}
        """#

    @Test func theShownLetterHasAllThatAnOperatorAsksFor() async throws {
        try await Self.run { scene in
            try await scene.add(key: "pay-1")
            try await scene.add(key: "pay-1")
            try await scene.store.change(.retry, .letters([1]), by: .init(actor: "mara", reason: "fixed"))
            let detail = try #require(try await scene.store.show(1))
            let text = LetterText(detail, now: detail.letter.summary.createdAt).text
            for part in [
                "letter      1", "state       pending since",
                "group       order-summary/missing_field/9f3c2a1b00000000",
                "error       missing_field at $.payload.currency: the field is absent", "reason      failed in decode",
                "origin      payment-events/3/17", "key         pay-1", "headers\n  event-type: PaymentCompleted",
                "value\n  {\n    \"eventId\": \"11111111-1111-4111-8111-111111111111\",",
                "open letters of the same key: 0 before, 1 behind.", "  > 1  pending", "    2  pending",
                "mara  retry_requested: fixed",
            ] { #expect(text.contains(part), "\(part) is not in \(text)") }
            let json = JSONText.line(LetterJSON.Detail(detail))
            #expect(json.contains(#""value":"{\"eventId\":"#))
        }
    }

    @Test func anEditedEventIsANewOneThatNamesTheOriginal() async throws {
        try await Self.run { scene in
            try await scene.add(key: "pay-1")
            let letter = try #require(try await scene.store.show(1)?.letter)
            let id = try #require(EventID("33333333-3333-4333-8333-333333333333"))
            let edited = try EditedEvent(
                Array(Self.corrected.utf8), replacing: letter, as: Catalog.codec(of: "order-summary"), eventID: id)
            guard case .event(let event) = try OrderEventDecoder.decode(edited.value.span) else {
                Issue.record("no event")
                return
            }
            #expect(event.identity.eventID == id)
            #expect(event.causationID == "11111111-1111-4111-8111-111111111111")
            let text = String(decoding: edited.value, as: UTF8.self)
            #expect(text.contains("\"amount\":10.10"))
            #expect(!text.contains("22222222") && !text.contains("cause\""))
        }
    }

    @Test(
        arguments: [
            ("", "not a valid event"), ("[]", "not a valid event"), ("{\"eventId\":1", "not a valid event"),
            ("{}", "eventType"),
            (Self.corrected.replacing("\"currency\":\"EUR\",", with: ""), "$.payload.currency"),
            (Self.corrected.replacing("PaymentCompleted", with: "PaymentDreamt"), "PaymentDreamt is unknown"),
            (Self.corrected.replacing("pay-1", with: "pay-2"), "pay-2 is not the letter's key pay-1"),
        ])
    func aValueThatIsNoEventOfTheKeyIsRefused(value: String, reason: String) async throws {
        try await Self.run { scene in
            try await scene.add(key: "pay-1")
            let letter = try #require(try await scene.store.show(1)?.letter)
            let failure = #expect(throws: CommandFailure.self) {
                _ = try EditedEvent(Array(value.utf8), replacing: letter, as: Catalog.codec(of: "order-summary"))
            }
            #expect(failure?.exitCode == .wrongData)
            #expect(failure?.message.contains(reason) == true, "\(failure?.message ?? "")")
        }
    }

    /// If no program knows the consumer's domain, only the envelope is checked, not the payload.
    @Test func theEnvelopeOfAnotherDomainIsChecked() async throws {
        try await Self.run { scene in
            try await scene.add(key: "pay-1")
            let letter = try #require(try await scene.store.show(1)?.letter)
            let foreign = Self.corrected.replacing("PaymentCompleted", with: "PaymentDreamt")
                .replacing("\"currency\":\"EUR\",", with: "")
            let codec = Catalog.codec(of: "somebody-elses")
            let edited = try EditedEvent(Array(foreign.utf8), replacing: letter, as: codec)
            #expect(String(decoding: edited.value, as: UTF8.self).contains("PaymentDreamt"))
            let failure = #expect(throws: CommandFailure.self) {
                let broken = foreign.replacing("\"timestamp\"", with: "\"time\"")
                _ = try EditedEvent(Array(broken.utf8), replacing: letter, as: codec)
            }
            #expect(failure?.message.contains("$.timestamp") == true, "\(failure?.message ?? "")")
        }
    }

    @Test func uncheckedBytesStayAsTheyAre() {
        let edited = EditedEvent(unchecked: [0xFF, 0x00])
        #expect(edited.value == [0xFF, 0x00])
        // The version and the variant of RFC 9562: version 4.
        #expect("\(edited.eventID)".dropFirst(14).first == "4")
        #expect("89ab".contains("\(edited.eventID)".dropFirst(19).first ?? "-"))
    }
}
