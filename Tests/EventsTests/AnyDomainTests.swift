import Events
import StreamCore
import Testing

/// Tests the envelope and its codec with a domain other than orders.
struct AnyDomainTests {
    static let id = EventID(high: 0x0190_c6b2_7d3a_7aaa, low: 0x8bbb_0123_4567_89ab)

    static func event(_ payload: LibraryEvent) -> Event<LibraryEvent> {
        Event(
            payload, of: "book-1", sequence: 3, at: Timestamp(microseconds: 1_795_248_000_123_456), eventID: id,
            correlationID: "c", causationID: "d", metadata: EventMetadata(userID: "u", source: "library"))
    }

    private static func decode(_ json: String) throws(EventDecodeError) -> DecodedEvent<LibraryEvent> {
        try EventDecoder<LibraryEvent>.decode(Array(json.utf8).span)
    }

    /// Returns version 3 of BookLent, optionally with one part replaced.
    private static func lent(_ old: String = "", _ new: String = "") -> String {
        let json = #"""
            {"eventId":"0190c6b2-7d3a-7aaa-8bbb-0123456789ab","eventType":"BookLent","aggregateId":"book-1",
            "aggregateType":"Book","sequence":3,"timestamp":"2026-11-21T08:00:00.123456Z","version":3,
            "payload":{"reader":"ada"}}
            """#
        return old.isEmpty ? json : json.replacing(old, with: new)
    }

    @Test(arguments: [
        LibraryEvent.lent(reader: "ada"), .returned(fee: nil),
        .returned(fee: Money(DecimalAmount(coefficient: 150, scale: 2), Currency("EUR")!)),
    ])
    func decodesWhatWasEncoded(_ payload: LibraryEvent) throws {
        let event = Self.event(payload)
        #expect(try EventDecoder<LibraryEvent>.decode(EventEncoder.envelope(event).span) == .event(event))
        #expect(event.identity.aggregateType == "Book")
    }

    @Test func theVersionThatIsWrittenFollowsFromTheSteps() {
        let json = String(decoding: EventEncoder.envelope(Self.event(.lent(reader: "ada"))), as: UTF8.self)
        #expect(json.contains(#""version":3"#))
        #expect(json.hasSuffix(#""payload":{"reader":"ada"}}"#))
    }

    @Test(arguments: [(1, "who"), (2, "name"), (3, "reader")])
    func oldVersionsAreUpcast(_ version: Int, _ field: String) throws {
        let json = Self.lent(#""version":3"#, #""version":\#(version)"#).replacing("\"reader\"", with: "\"\(field)\"")
        guard case .event(let event) = try Self.decode(json) else {
            Issue.record("no event")
            return
        }
        #expect(event.payload == .lent(reader: "ada"))
        #expect(event.identity.sequence == 3)
    }

    /// This includes a payload that comes before the fields that describe it, and names that contain an escape.
    @Test func theOrderOfFieldsDoesNotMatter() throws {
        let json = #"""
            {"payload":{"reader":"ada"},"version":3,"timestamp":"2026-11-21T08:00:00.123456Z","sequence":3,
            "aggregateType":"\u0042ook","aggregateId":"book-1","eventType":"Book\u004cent",
            "eventId":"0190c6b2-7d3a-7aaa-8bbb-0123456789ab"}
            """#
        #expect(try Self.decode(json) == Self.decode(Self.lent()))
    }

    @Test(
        arguments: [
            (#""aggregateType":"Book""#, #""aggregateType":"Shelf""#, .invalidValue, "$"),
            (#""aggregateType":"Book","#, "", .invalidValue, "$"),
            (#""version":3"#, #""version":4"#, .unknownVersion, "$.version"),
            (#""reader":"ada""#, #""who":"ada""#, .missingField, "$.payload.reader"),
            (#""payload""#, #""load""#, .missingField, "$.payload"),
            (#""eventType":"BookLent","#, "", .missingField, "$.eventType"),
            (#""payload":{"#, #""payload":{},"payload":{"#, .missingField, "$.payload.reader"),
            (#""version":3"#, #""version":1"#, .missingField, "$.payload.who"),
        ] as [(String, String, EventDecodeError.Class, String)])
    func saysWhatIsWrong(_ old: String, _ new: String, _ errorClass: EventDecodeError.Class, _ path: String) {
        let error = #expect(throws: EventDecodeError.self) { try Self.decode(Self.lent(old, new)) }
        #expect(error?.errorClass == errorClass)
        #expect(error?.path == path)
    }

    @Test func eventsOfOtherDomainsAreNoFailure() throws {
        #expect(try Self.decode(Self.lent("BookLent", "OrderCreated")) == .unknownType("OrderCreated"))
        #expect(try Self.decode(#"{"eventType":"OrderCreated","sequence":"many"}"#) == .unknownType("OrderCreated"))
    }

    @Test func topicsFollowFromTheAggregates() {
        #expect(LibraryEvent.Aggregate.topics() == ["book-events", "shelf-events"])
        #expect(LibraryEvent.Aggregate.book.topic(suffix: "") == "book")
    }

    /// Without a known domain, the decoder checks the envelope but not the payload.
    @Test func theEnvelopeIsCheckedWithoutTheDomain() throws {
        func decode(_ json: String) throws -> EventCodec.Decoded {
            try EventCodec.envelope.decode(Array(json.utf8).span)
        }
        let identity = Self.event(.lent(reader: "ada")).identity
        #expect(try decode(Self.lent()) == .event(identity))
        #expect(
            try decode(Self.lent(#"{"reader":"ada"}"#, "[1]").replacing(":3,\"payload", with: ":99,\"payload"))
                == .event(identity))
        #expect(try EventCodec(LibraryEvent.self).decode(Array(Self.lent().utf8).span) == .event(identity))
        #expect(
            try EventCodec(LibraryEvent.self).decode(Array(Self.lent("BookLent", "X").utf8).span) == .unknownType("X"))
        for (field, path) in [
            ("eventId", "$.eventId"), ("eventType", "$.eventType"), ("aggregateId", "$.aggregateId"),
            ("aggregateType", "$.aggregateType"), ("timestamp", "$.timestamp"), ("version", "$.version"),
            ("payload", "$.payload"),
        ] {
            let error = #expect(throws: EventDecodeError.self) {
                try decode(Self.lent("\"\(field)\"", "\"other\""))
            }
            #expect(error?.path == path)
        }
    }
}
