import Testing

@testable import Tail

@Suite struct FilterTests {
    private static func number(_ text: String) -> CanonicalNumber? {
        let bytes = Array(text.utf8)
        return CanonicalNumber(bytes.span)
    }

    private static let value = #"""
        {"eventType":"OrderCreated","aggregateId":"ord-1","sequence":3,"payload":{"orderId":"ord-9","amount":5.00,
        "text":"5","esc":"a\u0062c","big":1e3,"ok":true,"none":null,"items":[{"sku":"A"},{"sku":"B"}],"a.b":"x","neg":-0.50}}
        """#

    @Test(
        arguments: [
            ("payload.orderId==ord-9", true), ("$.payload.orderId==ord-9", true), (".payload.orderId==ord-9", true),
            ("payload.orderId==\"ord-9\"", true), ("payload.orderId=ord-9", true), ("payload.orderId==ord-", false),
            ("payload.orderId!=ord-9", false), ("payload.orderId!=other", true), ("payload.absent!=x", true),
            ("payload.absent==x", false), ("payload.absent", false), ("!payload.absent", true), ("payload.none", true),
            ("!payload.none", false), ("payload.none==null", true), ("payload.none==\"null\"", false),
            ("payload.amount==5", true), ("payload.amount==5.00", true), ("payload.amount==50e-1", true),
            ("payload.amount==5.01", false), ("payload.amount==\"5\"", false), ("payload.amount==-5", false),
            ("payload.text==5", true), ("payload.text==\"5\"", true), ("payload.text==5.0", false),
            ("payload.big==1000", true), ("payload.neg==-.5", false), ("payload.neg==-0.5", true),
            ("payload.esc==abc", true), ("payload.ok==true", true), ("payload.ok==\"true\"", false),
            ("payload.items[1].sku==B", true), ("payload.items[0].sku==B", false), ("payload.items[2]", false),
            ("payload.items==2", false), ("payload[\"a.b\"]==x", true), ("payload[\"items\"][0]", true),
            ("sequence==3", true), ("sequence[0]", false), ("eventType.x", false), ("payload.orderId==", false),
        ])
    func aPlaceInJSON(condition: String, holds: Bool) throws {
        let parsed = RecordCondition.json(try JSONCondition(parsing: condition))
        #expect(parsed.holds(for: Sample.record(value: Self.value)) == holds)
    }

    @Test(arguments: ["", "==x", "a..b", "a[", "a[x]==1", "a[-1]", "a[\"b]", "!a==1", "$", "a[0]b", "a!x"])
    func whatIsNoConditionIsRefused(text: String) {
        #expect(throws: TailSyntaxError.self) { try JSONCondition(parsing: text) }
    }

    @Test(arguments: [nil, "", "no json", "[1", "{\"a\":"] as [String?])
    func whatIsNoJSONHasNoPlaces(value: String?) throws {
        let record = Sample.record(value: value)
        for (text, holds) in [("a==1", false), ("a!=1", true), ("!b", true), ("a", false)] {
            #expect(RecordCondition.json(try JSONCondition(parsing: text)).holds(for: record) == holds)
        }
    }

    @Test(
        arguments: [
            ("0", "-0", true), ("0", "0.00e7", true), ("10", "1e1", true), ("100", "1e1", false), ("0.1", "1E-1", true),
            ("1e400", "1e401", false), ("123456789012345678901234567890", "123456789012345678901234567891", false),
            ("1.0e+2", "100", true), ("-1", "1", false),
        ])
    func numbersAreComparedByTheirDigits(one: String, other: String, equal: Bool) {
        let (left, right) = (Self.number(one), Self.number(other))
        #expect(left != nil && right != nil)
        #expect((left == right) == equal)
    }

    @Test(arguments: ["", "x", "01", "1 ", " 1", "1x", "--1", "1e99999999999"])
    func whatIsNoNumberIsNone(text: String) {
        #expect(Self.number(text) == nil)
    }

    @Test(
        arguments: [
            ("source=shop", true), ("source=sho", false), ("source!=shop", false), ("source", true), ("gone", false),
            ("gone!=x", true), ("null", true), ("null=", false), ("empty=", true), ("twice=b", true),
            ("twice=a", false),
            ("sum=a=b", true),
        ])
    func aHeader(condition: String, holds: Bool) throws {
        let headers: [(String, [UInt8]?)] = [
            ("source", Array("shop".utf8)), ("null", nil), ("empty", []), ("twice", Array("a".utf8)),
            ("twice", Array("b".utf8)), ("sum", Array("a=b".utf8)),
        ]
        let record = Sample.record(value: "{}", headers: headers)
        #expect(try RecordCondition.header(parsing: condition).holds(for: record) == holds)
    }

    @Test func aHeaderNeedsAName() {
        #expect(throws: TailSyntaxError.self) { try RecordCondition.header(parsing: "=x") }
        #expect(throws: TailSyntaxError.self) { try RecordCondition.header(parsing: "!=x") }
    }

    @Test func aTypeIsTheHeadersElseTheValues() {
        let type = RecordCondition.type([Array("OrderCreated".utf8), Array("B".utf8)])
        #expect(type.holds(for: Sample.record(value: Sample.event("{}"))))
        #expect(type.holds(for: Sample.record(value: nil, headers: [("event-type", Array("B".utf8))])))
        #expect(!type.holds(for: Sample.record(value: Sample.event("{}"), headers: [("event-type", Array("C".utf8))])))
        #expect(!type.holds(for: Sample.record(value: nil)))
    }

    @Test(arguments: ["event-type", "eventType", "ce_type"])
    func aTypeIsWhereMillraceDebeziumAndCloudEventsHaveIt(header: String) {
        let type = RecordCondition.type([Array("OrderCreated".utf8)])
        let record = Sample.record(value: #"{"total":5}"#, headers: [(header, Array("OrderCreated".utf8))])
        #expect(type.holds(for: record))
        #expect(EventGlance(record).typeText == "OrderCreated")
        #expect(Sample.printed([record]) { _ in }.contains("  OrderCreated  ord-1  -  total=5\n"))
        let both = [(header, Array("OrderCreated".utf8)), ("event-type", Array("Ours".utf8))]
        #expect(EventGlance(Sample.record(value: nil, headers: both)).typeText == "Ours")
    }

    @Test func anAggregateIsTheKeyOrStandsInTheEvent() {
        let other = Sample.record(key: "pay-1", value: Sample.event(#"{"orderId":"ord-7"}"#))
        #expect(RecordCondition.aggregate("pay-1").holds(for: other))
        #expect(RecordCondition.aggregate("ord-1").holds(for: other), "aggregateId")
        #expect(!RecordCondition.aggregate("ord-7").holds(for: other))
        #expect(RecordCondition.aggregate("ord-7", orReferredToBy: "orderId").holds(for: other))
        #expect(!RecordCondition.aggregate("ord-8", orReferredToBy: "orderId").holds(for: other))
    }

    @Test(
        arguments: [
            ("abcabd", "abd", true), ("aab", "ab", true), ("abc", "abcd", false), ("", "a", false), ("a", "", true),
            ("xxa", "a", true), ("aaaa", "ab", false),
        ])
    func bytesAreFoundInBytes(text: String, part: String, found: Bool) {
        let wanted = Array(part.utf8)
        #expect(RecordCondition.contains(wanted).holds(for: Sample.record(value: text)) == found)
        #expect(!RecordCondition.contains(wanted).holds(for: Sample.record(value: nil)))
    }

    @Test func allConditionsMustHold() {
        let record = Sample.record(timestampMs: 1_000, value: "abc")
        #expect(RecordFilter().matches(record))
        #expect(RecordFilter([.key(Array("ord-1".utf8)), .notBefore(1_000)]).matches(record))
        #expect(!RecordFilter([.key(Array("ord-1".utf8)), .notBefore(1_001)]).matches(record))
        #expect(RecordFilter([.notBefore(5)]).matches(Sample.record(timestampMs: nil, value: nil)))
    }
}
