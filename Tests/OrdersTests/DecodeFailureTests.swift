import Events
import Orders
import StreamCore
import Testing

/// The decoder reports the class and the path of each problem, and no input crashes it.
struct DecodeFailureTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let errorClass: EventDecodeError.Class
        let path: String
        let json: String

        var testDescription: String { "\(errorClass.rawValue) at \(path)" }

        init(_ errorClass: EventDecodeError.Class, _ path: String, _ json: String) {
            (self.errorClass, self.path, self.json) = (errorClass, path, json)
        }

        /// A valid event in which one piece of text is replaced.
        init(
            _ errorClass: EventDecodeError.Class, _ path: String, of sample: Int = 0, _ old: String, _ new: String
        ) {
            let sound = String(
                decoding: EventEncoder.envelope(SampleEvents.event(SampleEvents.payloads[sample])), as: UTF8.self)
            let broken = sound.replacing(old, with: new, maxReplacements: 1)
            precondition(broken != sound, "\(old) is not in \(sound)")
            self.init(errorClass, path, broken)
        }
    }

    static let cases: [Case] = [
        Case(.emptyValue, "$", ""),
        Case(.invalidJSON, "$", " "),
        Case(.invalidJSON, "$", "{"),
        Case(.invalidJSON, "$", "not json"),
        Case(.invalidJSON, "$.eventType", #"{"eventType":"#),
        Case(.invalidJSON, "$.sequence", #""sequence":1"#, #""sequence":01"#),
        Case(.invalidJSON, "$", #""country":"DE"}}}"#, #""country":"DE"}}}}"#),
        Case(.invalidJSON, "$", #""country":"DE"}}}"#, #""country":"DE"}}"#),
        Case(.wrongShape, "$", "[]"),
        Case(.wrongShape, "$", "null"),
        Case(.missingField, "$.eventType", "{}"),
        Case(.wrongShape, "$.eventType", #"{"eventType":5}"#),
        Case(.missingField, "$.version", #"{"eventType":"OrderConfirmed"}"#),
        Case(.missingField, "$.payload", #"{"eventType":"OrderConfirmed","version":1}"#),
        Case(.missingField, "$.eventId", #""eventId""#, #""event_id""#),
        Case(.missingField, "$.aggregateId", #""aggregateId""#, #""aggregate_id""#),
        Case(.missingField, "$.timestamp", #""timestamp""#, #""time""#),
        Case(.missingField, "$.payload.customerId", #""customerId""#, #""customer""#),
        Case(.missingField, "$.payload.items[1].unitPrice", #""unitPrice":"0.00000001""#, #""price":"1""#),
        Case(.missingField, "$.payload.shippingAddress.city", #""city""#, #""town""#),
        Case(.missingField, "$.payload.item", of: 2, #""item""#, #""line""#),
        Case(.missingField, "$.payload.orderId", of: 6, #""orderId""#, #""order""#),
        Case(.missingField, "$.payload.reason", of: 7, #""reason""#, #""why""#),
        Case(.invalidSequence, "$.sequence", #""sequence":1"#, #""sequence":0"#),
        Case(.invalidSequence, "$.sequence", #""sequence":1"#, #""sequence":-3"#),
        Case(.wrongShape, "$.sequence", #""sequence":1"#, #""sequence":"1""#),
        Case(.wrongShape, "$.sequence", #""sequence":1"#, #""sequence":1.5"#),
        Case(.wrongShape, "$.sequence", #""sequence":1"#, #""sequence":99999999999999999999"#),
        Case(.wrongShape, "$.sequence", #""sequence":1"#, #""sequence":1,"sequence":1"#),
        Case(.wrongShape, "$.payload", #""version":2"#, #""version":2,"payload":{}"#).expecting("$.payload.customerId"),
        Case(.unknownVersion, "$.version", #""version":2"#, #""version":3"#),
        Case(.unknownVersion, "$.version", #""version":2"#, #""version":0"#),
        Case(.missingField, "$.payload.items[0].price", #""version":2"#, #""version":1"#),
        Case(.invalidValue, "$.eventId", "0190c6b2-", "0190c6b2"),
        Case(.invalidValue, "$.timestamp", "2026-11-21T", "2026-02-29T"),
        Case(.invalidValue, "$.timestamp", ".123456Z", ""),
        Case(.invalidValue, "$.aggregateId", #""order-1""#, #""""#),
        Case(.invalidValue, "$.aggregateId", "order-1", String(repeating: "x", count: 256)),
        Case(.invalidValue, "$", #""aggregateType":"Order""#, #""aggregateType":"Payment""#),
        Case(.invalidValue, "$.payload.currency", #""EUR""#, #""eur""#),
        Case(.invalidValue, "$.payload.items[0].quantity", #""quantity":2"#, #""quantity":0"#),
        Case(.invalidValue, "$.payload.items[0].quantity", #""quantity":2"#, #""quantity":2147483648"#),
        Case(.invalidValue, "$.payload.items[0].unitPrice", #""24.90""#, #""24,90""#),
        Case(.invalidValue, "$.payload.items[0].unitPrice", #""24.90""#, "1e15"),
        Case(.invalidValue, "$.payload.items[0].unitPrice", #""24.90""#, "1e-9"),
        Case(.invalidValue, "$.payload.items[0].unitPrice", #""24.90""#, "1e999999999999999"),
        Case(.wrongShape, "$.payload.items[0].unitPrice", #""24.90""#, "true"),
        Case(.wrongShape, "$.payload.items[0].unitPrice", #""24.90""#, "null"),
        Case(.invalidValue, "$.payload.items[0].name", #"Bottle\t"#, #"Bottle\u0000"#),
        Case(.invalidValue, "$.payload.items[0].name", #"Bottle\t"#, #"Bottle\ud800"#),
        Case(.wrongShape, "$.payload.items", #""items":["#, #""items":7,"lines":["#),
        Case(.wrongShape, "$.payload", of: 4, #""payload":{}"#, #""payload":"{}""#),
        Case(.wrongShape, "$.payload.items[0].quantity", #""quantity":2"#, #""quantity":2.5"#),
        Case(.wrongShape, "$.payload.items[0].quantity", #""quantity":2"#, #""quantity":1e30"#),
        Case(
            .invalidValue, "$.payload.items[0].unitPrice", #""24.90""#, "10." + String(repeating: "0", count: 40) + "1"),
    ]

    @Test(arguments: cases)
    func saysWhatIsWrong(_ example: Case) {
        let bytes = Array(example.json.utf8)
        let error = #expect(throws: EventDecodeError.self) { try OrderEventDecoder.decode(bytes.span) }
        #expect(error?.errorClass == example.errorClass)
        #expect(error?.path == example.path)
        #expect(error?.detail.isEmpty == false)
    }

    /// A row of the outbox has version 1 if its writer does not set it. The payload then lacks what version 1 had.
    @Test func namesTheVersionOfAnOlderPayload() {
        let current = String(
            decoding: EventEncoder.envelope(SampleEvents.event(SampleEvents.payloads[0])), as: UTF8.self)
        let older = current.replacing(#""version":2"#, with: #""version":1"#)
        let error = #expect(throws: EventDecodeError.self) { try OrderEventDecoder.decode(Array(older.utf8).span) }
        #expect(
            error?.description == """
                missing_field at $.payload.items[0].price: the field is absent (read as version 1 of OrderCreated; the \
                current version is 2)
                """)
    }

    @Test func tellsExactlyWhatIsWrongWithATime() {
        let sound = String(
            decoding: EventEncoder.envelope(SampleEvents.event(.orderConfirmed)), as: UTF8.self)
        let local = sound.replacing(".123456Z", with: "")
        let error = #expect(throws: EventDecodeError.self) { try OrderEventDecoder.decode(Array(local.utf8).span) }
        #expect(
            error?.description == """
                invalid_value at $.timestamp: expected a date and time of ISO 8601 with its zone, such as \
                2026-05-01T10:00:00.123Z; at character 20: expected the zone as Z, +HH:MM, +HHMM or +HH, found the end
                """)
    }

    @Test func refusesInvalidUTF8() {
        var bytes = EventEncoder.envelope(SampleEvents.event(SampleEvents.payloads[0]))
        bytes[bytes.count - 5] = 0xFF
        let error = #expect(throws: EventDecodeError.self) { try OrderEventDecoder.decode(bytes.span) }
        #expect(error?.errorClass == .invalidUTF8)
    }

    @Test func everyClassHasACase() {
        let covered = Set(Self.cases.map(\.errorClass)).union([.invalidUTF8])
        #expect(covered == Set(EventDecodeError.Class.allCases))
    }

    @Test func classesAreStable() {
        #expect(
            EventDecodeError.Class.allCases.map(\.rawValue) == [
                "empty_value", "invalid_utf8", "invalid_json", "wrong_shape", "missing_field", "invalid_value",
                "invalid_sequence", "unknown_version",
            ])
    }

    @Test func showsNoData() {
        let json = #"{"eventType":"OrderConfirmed","version":1,"payload":{},"eventId":"secret-value"}"#
        let error = #expect(throws: EventDecodeError.self) { try OrderEventDecoder.decode(Array(json.utf8).span) }
        #expect(error?.description == "invalid_value at $.eventId: expected a UUID")
    }

    @Test func aMegabyteIsAnEventLikeAnyOther() throws {
        let name = String(repeating: "é", count: 1_000_000)
        let event = SampleEvents.event(
            .itemAdded(OrderLine(productID: "p", name: name, quantity: 1, unitPrice: .zero)))
        let bytes = EventEncoder.envelope(event)
        #expect(try OrderEventDecoder.decode(bytes.span) == .event(event))
    }

    /// Bytes are changed, removed or duplicated at random. The result must be an event, an unknown type or a typed
    /// error.
    @Test(arguments: 0..<UInt64(8))
    func survivesMutations(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let alphabet =
            Array(#"{}[]":,0123456789-+.eE\u"abntrufls "#.utf8) + [0x00, 0x1F, 0x7F, 0x80, 0xC3, 0xED, 0xF4, 0xFF]
        var failures = 0
        for round in 0..<2_000 {
            let payload = SampleEvents.payloads[round % SampleEvents.payloads.count]
            var bytes = EventEncoder.envelope(SampleEvents.event(payload))
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[index] = alphabet.randomElement(using: &random)!
                case 1: bytes.remove(at: index)
                case 2: bytes.insert(alphabet.randomElement(using: &random)!, at: index)
                default: bytes.removeSubrange(index..<min(index + Int.random(in: 1...40, using: &random), bytes.count))
                }
                if bytes.isEmpty { break }
            }
            do {
                _ = try OrderEventDecoder.decode(bytes.span)
            } catch {
                failures += 1
                if !error.path.hasPrefix("$") { Issue.record("no path: \(error)") }
            }
        }
        #expect(failures > 1_000)
    }
}

extension DecodeFailureTests.Case {
    /// The same record, with the problem at another path.
    func expecting(_ path: String) -> Self {
        Self(.missingField, path, json)
    }
}
