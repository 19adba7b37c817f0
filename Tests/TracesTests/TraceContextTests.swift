import Testing
import Traces
import Tracing

@Suite struct TraceContextTests {
    private static let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @Test func aHeaderIsReadAndWritten() throws {
        let context = try #require(TraceContext(traceparent: Self.valid))
        #expect(context.traceID.high == 0x0af7_6519_16cd_43dd && context.traceID.low == 0x8448_eb21_1c80_319c)
        #expect(context.spanID == 0xb7ad_6b71_6920_3331)
        #expect(context.isSampled && context.state == nil)
        #expect(context.traceparent == Self.valid)
        #expect(context.traceID.text == "0af7651916cd43dd8448eb211c80319c" && context.spanText == "b7ad6b7169203331")
    }

    /// The flags of level 2 are kept. All other flags are cleared.
    @Test(arguments: [
        ("00", "00", false), ("01", "01", true), ("02", "02", false), ("03", "03", true), ("ff", "03", true),
        ("fe", "02", false),
    ])
    func flagsThatAreKnownAreKept(_ given: String, written: String, isSampled: Bool) throws {
        let context = try #require(TraceContext(traceparent: Self.valid.dropLast(2) + given))
        #expect(context.isSampled == isSampled)
        #expect(context.traceparent == Self.valid.dropLast(2) + written)
    }

    /// A header of a later version may have more fields after a dash. Our answer uses our version.
    @Test(arguments: ["", "-", "-what-the-future-will-be-like"])
    func laterVersionsAreReadAsFarAsTheyAreKnown(_ rest: String) throws {
        let context = try #require(TraceContext(traceparent: "cc" + Self.valid.dropFirst(2) + rest))
        #expect(context.traceparent == Self.valid)
    }

    /// The valid header with another version or with additional text.
    private static func changed(version: String = "00", rest: String = "") -> String {
        version + String(valid.dropFirst(2)) + rest
    }

    @Test(arguments: [
        changed(rest: "-"), changed(rest: "-00"), changed(rest: " "), " " + valid, valid.uppercased(),
        changed(version: "ff"), changed(version: "0x"), changed(version: "-1"), changed(version: "cc", rest: "x"),
        changed(version: "cc", rest: ".what"),
    ])
    func changedHeadersAreIgnored(_ text: String) {
        #expect(TraceContext(traceparent: text) == nil)
    }

    @Test(arguments: [
        "", "00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333 -01",
        "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-010",
        "00-0af7651916cd43dd8448eb211c8031ä-b7ad6b7169203331-01",
    ])
    func whatIsNoneIsIgnored(_ text: String) {
        #expect(TraceContext(traceparent: text) == nil)
    }

    @Test func stateIsPassedOnIfItIsText() {
        func state(_ text: String) -> String? { TraceContext(traceparent: Self.valid, state: text)?.state }
        #expect(state("rojo=00f067aa0ba902b7,congo=t61") == "rojo=00f067aa0ba902b7,congo=t61")
        #expect(state("") == nil && state("a=\n") == nil && state("a=ä") == nil)
        #expect(state(String(repeating: "a", count: 512))?.count == 512)
        #expect(state(String(repeating: "a", count: 513)) == nil)
    }

    /// Small ids have leading zeros.
    @Test func idsHaveAllTheirDigits() {
        let id = TraceContext.TraceID(high: 0, low: 1)
        let context = TraceContext(traceID: id, spanID: 0xA, isSampled: false)
        #expect(context.traceparent == "00-00000000000000000000000000000001-000000000000000a-00")
        #expect(TraceContext(traceparent: context.traceparent) == context)
    }
}
