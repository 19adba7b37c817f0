import Foundation
import Testing

@testable import Tail

@Suite struct PrinterTests {
    // MARK: formats

    @Test func aFormatHasAllOfKcatsTokens() throws {
        let record = Sample.record(value: "v1", headers: [("a", Array("1".utf8)), ("b", nil)])
        let text = try Sample.printed([record]) {
            $0.output = try RecordOutput(parsing: #"%t %p %o %T %k %K %s %S %h %%\t\\\x21\n"#)
        }
        #expect(text == "order-events 3 17 1772366400123 ord-1 5 v1 2 a=1,b=null %\t\\!\n")
        let binary = try Sample.printed([record]) { $0.output = try RecordOutput(parsing: "%R%s") }
        #expect(Array(binary.utf8) == [0, 0, 0, 2] + Array("v1".utf8))
    }

    @Test func aTombstoneIsNull() throws {
        let record = Sample.record(timestampMs: nil, key: nil, value: nil)
        #expect(
            try Sample.printed([record]) { $0.output = try RecordOutput(parsing: #"%k %K %s %S %T\n"#) }
                == "null -1 null -1 -1\n")
        #expect(try Sample.printed([record]) { $0.output = try RecordOutput(parsing: "raw") } == "null\n")
        let empty = Sample.record(key: "", value: "")
        #expect(try Sample.printed([empty]) { $0.output = try RecordOutput(parsing: "%k|%K|%s|%S") } == "|0||0")
    }

    @Test(arguments: ["%q", "a%", #"\q%s"#, #"\x2%s"#, #"\xzz%s"#, "table"])
    func whatIsNoFormatIsRefused(text: String) {
        #expect(throws: TailSyntaxError.self) { try RecordOutput(parsing: text) }
    }

    /// Bytes are written unchanged to a file or a pipe.
    @Test func rawBytesReachNoTerminal() throws {
        let record = Sample.record(key: "k\u{1B}", value: "a\u{1B}[2J\u{9B}é")
        let format = try RecordOutput(parsing: #"%k %s\n"#)
        #expect(Sample.printed([record]) { $0.output = format } == "k\u{1B} a\u{1B}[2J\u{9B}é\n")
        let shown = Sample.printed([record]) {
            $0.output = format
            $0.isTerminal = true
        }
        #expect(shown == #"k\x1B a\x1B[2J\xC2\x9Bé"# + "\n")
    }

    // MARK: JSON

    @Test func aLineOfJSONHasTheValueAsJSON() throws {
        let record = Sample.record(value: #"{"a":1.10}"#, headers: [("event-type", Array("X".utf8)), ("n", nil)])
        #expect(
            Sample.printed([record]) { $0.output = .jsonl }
                == #"{"topic":"order-events","partition":3,"offset":17,"timestamp":"2026-03-01T12:00:00.123000Z","#
                + #""key":"ord-1","headers":[{"name":"event-type","value":"X"},{"name":"n","value":null}],"#
                + #""value":{"a":1.10}}"# + "\n")
    }

    @Test(
        arguments: [
            (nil, #""value":null,"tombstone":true}"#), ("", #""valueText":""}"#), ("null", #""value":null}"#),
            ("plain \"text\"", #""valueText":"plain \"text\""}"#),
            ("{\n  \"a\" : [\r\n1]}", #""value":{  "a" : [1]}}"#),
            ("{\"a\":}", #""valueText":"{\"a\":}"}"#), ("1 2", #""valueText":"1 2"}"#),
            ("\u{FEFF}{}", #""value":{}}"#),
        ] as [(String?, String)])
    func whatAValueIsInJSON(value: String?, end: String) {
        let line = Sample.printed([Sample.record(value: value)]) { $0.output = .jsonl }
        #expect(line.hasSuffix(end + "\n"), "\(line)")
        #expect(line.split(separator: "\n").count == 1)
    }

    @Test func bytesAreBase64OrHexadecimal() {
        let bytes: [UInt8] = [0xFF, 0x00, 0x1B, 0x7E]
        let record = CopiedRecord(Sample.partition, offset: 1, key: [0xC3], value: bytes, headers: [("h", [0x80])])
        let base64 = Sample.printed([record]) { $0.output = .jsonl }
        #expect(base64.contains(#""timestamp":null,"keyBase64":"ww==","#), "\(base64)")
        #expect(base64.contains(#"{"name":"h","valueBase64":"gA=="}"#))
        #expect(base64.hasSuffix(#""valueBase64":"\#(Data(bytes).base64EncodedString())"}"# + "\n"))
        let hex = Sample.printed([record]) {
            $0.output = .jsonl
            $0.notation = .hex
        }
        #expect(hex.contains(#""keyHex":"c3""#) && hex.hasSuffix(#""valueHex":"ff001b7e"}"# + "\n"))
    }

    @Test(arguments: 0...6)
    func base64IsThatOfRFC4648(count: Int) {
        let bytes = [UInt8]([0xFB, 0xEF, 0xBE, 0x3F, 0x00, 0xFF].prefix(count))
        var out: [UInt8] = []
        PrintableBytes.appendBase64(bytes.span, to: &out)
        #expect(String(decoding: out, as: UTF8.self) == Data(bytes).base64EncodedString())
    }

    @Test func jsonIsOneArray() throws {
        let records = [Sample.record(offset: 1, value: "1"), Sample.record(offset: 2, value: nil)]
        let text = Sample.printed(records) { $0.output = .json }
        let array = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
        #expect(array.map { $0["offset"] as? Int } == [1, 2])
        #expect(Sample.printed([]) { $0.output = .json } == "[]\n")
    }

    @Test func jsonSpoilsNoTerminal() throws {
        let text = "a\u{9B}2J\u{2028}\u{202E}\u{7F}é"
        let record = Sample.record(key: text, value: #"{"v":"\#(text)"}"#, headers: [(text, Array(text.utf8))])
        let json = Sample.printed([record]) {
            $0.output = .jsonl
            $0.isTerminal = true
        }
        #expect(json.components(separatedBy: #"a\u009b2J\u2028\u202e\u007fé"#).count == 5, "\(json)")
        let object = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
        #expect((object["value"] as? [String: Any])?["v"] as? String == text)
    }

    @Test func withoutValuesThereAreSizes() {
        let record = Sample.record(
            value: "{}", headers: [("event-type", Array("X".utf8)), ("source", Array("s".utf8))])
        func shown(_ output: RecordOutput, _ record: CopiedRecord) -> String {
            Sample.printed([record]) {
                $0.output = output
                $0.isMetaOnly = true
            }
        }
        #expect(shown(.jsonl, record).hasSuffix(#""valueSize":2}"# + "\n"))
        #expect(shown(.jsonl, Sample.record(value: nil)).hasSuffix(#""valueSize":null}"# + "\n"))
        #expect(shown(.pretty, record).hasSuffix("2 B source=s\n"))
    }

    // MARK: pretty

    @Test func prettyAlignsWhatAPersonAsksFor() {
        let records = [
            Sample.record(
                value: Sample.event(#"{"orderId":"ord-1","total":{"amount":"5.00"},"items":[1,2],"n":"a b"}"#)),
            Sample.record(
                offset: 9, key: "a-longer-key", value: Sample.event("{}", sequence: 12),
                headers: [("event-type", Array("Paid".utf8))]),
            Sample.record(offset: 100, timestampMs: nil, key: nil, value: nil),
        ]
        #expect(
            Sample.printed(records) { _ in } == """
                2026-03-01 12:00:00.123  3/17   OrderCreated  ord-1          #1  orderId=ord-1 total={amount=5.00} items=[2] n="a b"
                2026-03-01 12:00:00.123  3/9    Paid          a-longer-key  #12
                -                        3/100  -             null            -  null

                """)
    }

    @Test func severalTopicsAreNamed() {
        let line = Sample.printed([Sample.record(value: "x")]) { $0.namesTopics = true }
        #expect(line.contains("  order-events/3/17  "))
    }

    /// Every 64-bit timestamp is shown.
    @Test(
        arguments: [
            (1_764_201_600_000_000_000, "+55907293-03-05 00:00:00.000"), (.max, "+292278994-08-17 07:12:55.807"),
            (.min, "-292275055-05-16 16:47:04.192"),
        ] as [(Int64, String)])
    func anyTimestampIsShown(milliseconds: Int64, time: String) {
        let record = Sample.record(timestampMs: milliseconds, value: "v")
        #expect(Sample.printed([record]) { _ in }.hasPrefix(time + "  3/17  "))
        let iso = time.replacing(" ", with: "T") + "000Z"
        #expect(Sample.printed([record]) { $0.output = .jsonl }.contains(#""timestamp":"\#(iso)""#))
    }

    @Test func prettyIsCutAtTheTerminalsWidth() {
        let record = Sample.record(key: "k", value: String(repeating: "é", count: 300))
        let line = Sample.printed([record]) { $0.columns = 60 }.dropLast()
        #expect(line.count == 60 && line.hasSuffix("é…"), "\(line)")
        #expect(Sample.printed([record]) { _ in }.filter { $0 == "é" }.count == 300)
        let exact = Sample.printed([Sample.record(key: "k", value: "0123456789")]) { $0.columns = 1 }
        #expect(exact.hasSuffix("  0123456789\n"), "ten characters always fit")
    }

    @Test func coloursAreBalancedAndLeaveTheTextAlone() throws {
        let record = Sample.record(value: Sample.event("{}"))
        let coloured = Sample.printed([record]) { $0.isColoured = true }
        let stripped = coloured.replacing(try Regex("\u{1B}\\[[0-9]*m"), with: "")
        #expect(stripped == Sample.printed([record]) { _ in })
        #expect(coloured.components(separatedBy: "\u{1B}[0m").count == 6)
    }

    @Test func prettySpoilsNoTerminal() {
        let bad = "\u{1B}[2J\u{7}\r\n\u{9B}\u{202E}"
        let record = Sample.record(
            key: bad, value: Sample.event("{\"\u{202E}\":\"\u{9B}\"}"), headers: [("event-type", Array(bad.utf8))])
        let text = Sample.printed([record, Sample.record(value: bad)]) { $0.isMetaOnly = false }
        let kept = text.unicodeScalars.filter { $0 != "\n" }
        #expect(kept.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) && $0.value != 0x202E })
        #expect(text.split(separator: "\n").count == 2)
        #expect(text.contains(#"\x1B[2J\x07\x0D\x0A\xC2\x9B\xE2\x80\xAE"#))
    }

    @Test(
        arguments: [
            ([0x61, 0x0A, 0x1B, 0x5B, 0x4B], "a\\x0A\\x1B[K"), ([0xFF, 0xC3, 0x28], "\\xFF\\xC3("),
            ([0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x8E, 0x89], "é€🎉"),
            // A truncated character at the end, a C1 control character, a mark that reverses the direction of text, and
            // an overlong slash.
            ([0x61, 0xE2, 0x82], "a\\xE2\\x82"), ([0xC2, 0x9B], "\\xC2\\x9B"),
            ([0xE2, 0x80, 0xAE], "\\xE2\\x80\\xAE"), ([0xC0, 0xAF], "\\xC0\\xAF"),
            // An overlong form, a surrogate, and a value beyond U+10FFFF.
            ([0xE0, 0x80, 0xAF], "\\xE0\\x80\\xAF"), ([0xED, 0xA0, 0x80], "\\xED\\xA0\\x80"),
            ([0xF4, 0x90, 0x80, 0x80], "\\xF4\\x90\\x80\\x80"),
        ] as [([UInt8], String)])
    func bytesThatWouldSpoilATerminalAreEscaped(bytes: [UInt8], text: String) {
        #expect(PrintableBytes.text(bytes) == text)
        let isText = PrintableBytes.isText(bytes.span)
        #expect(isText == (String(validating: bytes, as: UTF8.self) != nil))
    }
}
