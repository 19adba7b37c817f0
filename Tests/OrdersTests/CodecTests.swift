import Events
import Orders
import StreamCore
import Testing
import WireJSON

/// Decodes well-formed events.
struct CodecTests {
    @Test(arguments: SampleEvents.payloads)
    func decodesWhatWasEncoded(_ payload: OrderEventPayload) throws {
        let event = SampleEvents.event(payload, sequence: .max)
        #expect(try decode(EventEncoder.envelope(event)) == .event(event))
        let inner = EventEncoder.payload(payload)
        #expect(
            String(decoding: EventEncoder.envelope(event), as: UTF8.self)
                .hasSuffix(#""payload":"# + String(decoding: inner, as: UTF8.self) + "}"))
    }

    @Test func samplesCoverEveryType() {
        #expect(Set(SampleEvents.payloads.map(\.type)) == Set(OrderEventType.allCases))
    }

    @Test func readsAnEnvelopeOfAnotherHand() throws {
        let json = #"""
            { "payload" : { "orderId":"o-1", "amount": 12.50, "currency":"USD", "method":"card", "extra":{"a":[1]} },
              "version":1, "metadata":null, "causationId":"cause", "correlationId":null, "future":[{}],
              "timestamp":"2026-01-31T23:59:59+01:00", "sequence":7, "aggregateType":"Payment", "aggregateId":"pay-1",
              "eventType":"PaymentCompleted", "eventId":"0190C6B2-7D3A-7AAA-8BBB-0123456789AB" }
            """#
        let expected = OrderEvent(
            identity: EventIdentity(
                eventID: EventID("0190c6b2-7d3a-7aaa-8bbb-0123456789ab")!, eventType: "PaymentCompleted",
                aggregateType: "Payment", aggregateID: "pay-1", sequence: 7,
                timestamp: Timestamp("2026-01-31T22:59:59Z")!),
            correlationID: nil, causationID: "cause",
            payload: .paymentCompleted(
                PaymentCompleted(
                    orderID: "o-1", money: Money(DecimalAmount(coefficient: 1250, scale: 2), Currency("USD")!),
                    method: "card")))
        #expect(try decode(Array(json.utf8)) == .event(expected))
        #expect(expected.orderID == "o-1")
        #expect(expected.aggregateType == .payment)
    }

    @Test func upcastsTheFirstVersionOfOrderCreated() throws {
        let json = #"""
            {"eventId":"0190c6b2-7d3a-7aaa-8bbb-0123456789ab","eventType":"OrderCreated","aggregateId":"o-1",
            "aggregateType":"Order","sequence":1,"timestamp":"2020-02-29T00:00:00Z","version":1,
            "payload":{"customerId":"c","items":[{"productId":"p","name":"n","quantity":1,"price":1.10,"unknown":1e1}],
            "shippingAddress":{"name":"a","street":"b","city":"c","postalCode":"d","country":"e"}}}
            """#
        guard case .event(let event) = try decode(Array(json.utf8)), case .orderCreated(let order) = event.payload
        else {
            Issue.record("no OrderCreated")
            return
        }
        #expect(order.currency.code == "EUR")
        #expect(order.items.map(\.unitPrice) == [DecimalAmount(coefficient: 11, scale: 1)])
    }

    @Test func letsOtherEventsBe() throws {
        let foreign = #"{"eventType":"LoyaltyPointsGranted","sequence":"many","payload":[1]}"#
        #expect(try decode(Array(foreign.utf8)) == .unknownType("LoyaltyPointsGranted"))
        let ofAnotherAggregate = Array(
            String(
                decoding: EventEncoder.envelope(SampleEvents.event(.orderConfirmed)), as: UTF8.self
            )
            .replacing("OrderConfirmed", with: "OrderArchived").replacing(#""Order""#, with: #""Archive""#).utf8)
        #expect(try decode(ofAnotherAggregate) == .unknownType("OrderArchived"))
    }

    @Test(arguments: OrderEventType.allCases)
    func typesAreConsistent(_ type: OrderEventType) {
        #expect(["order-events", "payment-events", "shipment-events"].contains(type.aggregateType.topic()))
        #expect(type.currentVersion == (type == .orderCreated ? 2 : 1))
    }

    private func decode(_ bytes: [UInt8]) throws(EventDecodeError) -> DecodedEvent<OrderEventPayload> {
        try OrderEventDecoder.decode(bytes.span)
    }
}
