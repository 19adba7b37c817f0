import Events
import Orders
import StreamCore
import Testing

/// Valid events as libraries of other languages write them.
struct ForeignWriterTests {
    /// Expects that a valid event is still the same event after one piece of its text is replaced.
    private func expectSame(
        _ payload: OrderEventPayload, _ old: String, _ new: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let event = SampleEvents.event(payload)
        #expect(try decode(payload, old, new) == event, sourceLocation: sourceLocation)
    }

    private func decode(_ payload: OrderEventPayload, _ old: String, _ new: String) throws -> OrderEvent? {
        let sound = String(decoding: EventEncoder.envelope(SampleEvents.event(payload)), as: UTF8.self)
        let other = sound.replacing(old, with: new, maxReplacements: 1)
        try #require(other != sound)
        guard case .event(let event) = try OrderEventDecoder.decode(Array(other.utf8).span) else { return nil }
        return event
    }

    @Test(arguments: [
        "2026-11-21T08:00:00.123456+0000", "2026-11-21T08:00:00.123456789Z", "2026-11-21 08:00:00.123456+00",
        "2026-11-21t08:00:00,123456z", #"2026-11-21T08:00:00.123456\u002b00:00"#,
    ])
    func timesOfManyHands(_ time: String) throws {
        try expectSame(.orderConfirmed, "2026-11-21T08:00:00.123456Z", time)
    }

    @Test(arguments: ["1.0", "1e0", "1E+0", "0.1e1", "10e-1", "1.000000000000000000000000000000000000000000"])
    func wholeNumbersOfManyHands(_ one: String) throws {
        try expectSame(.orderConfirmed, #""sequence":1"#, #""sequence":"# + one)
        try expectSame(.orderConfirmed, #""version":1"#, #""version":"# + one)
    }

    @Test(arguments: [
        "49.8", "4.98E+1", "4980e-2", #""4.98e1""#, "49.80" + String(repeating: "0", count: 60),
        #""49.8"# + String(repeating: "0", count: 40) + #"""#, "4980" + String(repeating: "0", count: 50) + "e-52",
    ])
    func amountsOfManyHands(_ amount: String) throws {
        try expectSame(SampleEvents.payloads[6], #""49.80""#, amount)
    }

    @Test func zerosBehindTheAmountSayNothing() throws {
        let event = try decode(SampleEvents.payloads[6], "49.80", "10." + String(repeating: "0", count: 40))
        guard case .paymentCompleted(let payment)? = event?.payload else {
            Issue.record("no PaymentCompleted")
            return
        }
        #expect(payment.money.amount == DecimalAmount(coefficient: 10, scale: 0))
    }

    @Test func aByteOrderMarkIsPassedOver() throws {
        let event = SampleEvents.event(.orderConfirmed)
        let bytes = [0xEF, 0xBB, 0xBF] + EventEncoder.envelope(event)
        #expect(try OrderEventDecoder.decode(bytes.span) == .event(event))
        let cut = Array(bytes.dropLast())
        let error = #expect(throws: EventDecodeError.self) { try OrderEventDecoder.decode(cut.span) }
        #expect(error?.errorClass == .invalidJSON)
    }

    /// Invalid metadata does not stop an event, because nothing depends on metadata.
    @Test(arguments: [
        #"{"userId":"a\u0000b","source":"order-service"}"#, #"{"userId":"\ud83d","source":"order-service"}"#,
        #"{"userId":17,"source":"order-service"}"#, #"{"userId":{"id":[1]},"source":"order-service"}"#,
        #"{"userId":"u","userId":null,"source":"order-service"}"#,
        #"{"source":"order-service","\ud83d":{"\ud83d":"\ud83d\u0000"}}"#,
    ])
    func metadataDoesNotStopAnEvent(_ metadata: String) throws {
        let event = try decode(.orderConfirmed, #"{"userId":"u","source":"order-service"}"#, metadata)
        #expect(event?.metadata == EventMetadata(source: "order-service"))
        #expect(event?.identity == SampleEvents.event(.orderConfirmed).identity)
    }

    @Test(arguments: ["null", "[]", #""text""#, "3", "true"]) func metadataOfAnotherTypeIsNone(_ other: String) throws {
        let event = try decode(.orderConfirmed, #"{"userId":"u","source":"order-service"}"#, other)
        #expect(event?.metadata == EventMetadata())
    }

    @Test(arguments: [#""a\u0000""#, "7", #"{"a":"\udc00"}"#, #""corr-1","correlationId":null"#])
    func aCorrelationDoesNotStopAnEvent(_ other: String) throws {
        let event = try decode(.orderConfirmed, #""corr-1""#, other)
        #expect(event?.correlationID == nil)
        #expect(event?.identity.sequence == 1)
    }

    @Test(arguments: ["", #""sequence":null,"#]) func anEventNeedsNoSequence(_ none: String) throws {
        #expect(try decode(.orderConfirmed, #""sequence":1,"#, none)?.identity.sequence == 0)
    }

    /// Unknown fields may contain any JSON.
    @Test(arguments: [
        #""\u0000\ud800""#, "1e999999", "123456789012345678901234567890", #"{"a":1,"a":2}"#,
        String(repeating: "[", count: 60) + String(repeating: "]", count: 60),
    ])
    func unknownFieldsDoNotStopAnEvent(_ value: String) throws {
        try expectSame(.orderConfirmed, #""version":1"#, #""version":1,"unknown":"# + value)
        try expectSame(.orderConfirmed, #""payload":{"#, #""payload":{"unknown":"# + value)
    }
}
