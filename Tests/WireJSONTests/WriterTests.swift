import StreamCore
import Testing
import WireJSON

struct WriterTests {
    @Test func writesWhatTheReaderReads() throws {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("eventId")
        writer.string(try #require(EventID("0190c6b2-7d3a-7aaa-8bbb-0123456789ab")))
        writer.key("at")
        writer.string(Timestamp(microseconds: 1_700_000_000_123_456))
        writer.key("n")
        writer.number(Int64.min)
        writer.key("m")
        writer.number(Int32(0))
        writer.key("list")
        writer.beginArray()
        writer.bool(true)
        writer.bool(false)
        writer.null()
        writer.beginObject()
        writer.endObject()
        writer.raw("12.50")
        writer.beginArray()
        writer.endArray()
        writer.endArray()
        writer.key("dynamic \"key\"" as String)
        writer.string("")
        writer.endObject()
        let expected =
            #"{"eventId":"0190c6b2-7d3a-7aaa-8bbb-0123456789ab","at":"2023-11-14T22:13:20.123456Z","#
            + #""n":-9223372036854775808,"m":0,"list":[true,false,null,{},12.50,[]],"dynamic \"key\"":""}"#
        let bytes = writer.finish()
        #expect(String(decoding: bytes, as: UTF8.self) == expected)
        var reader = try JSONReader(bytes.span)
        try reader.skipValue()
        try reader.finish()
    }

    @Test(arguments: [
        "", "plain", "quote \" backslash \\ slash /", "line\nreturn\rtab\t", "\u{0}\u{1}\u{1f}\u{7f}",
        "é😀 and more than eight bytes of it", "\"", "ends with a quote, after many bytes\"",
    ])
    func escapedStringsComeBack(_ text: String) throws {
        var writer = JSONWriter()
        writer.string(text)
        let bytes = writer.finish()
        var reader = try JSONReader(bytes.span)
        #expect(try reader.readString() == text)
        try reader.finish()
    }

    @Test func reusesItsMemory() {
        var writer = JSONWriter()
        writer.beginArray()
        writer.number(1)
        writer.reset()
        writer.number(-205)
        #expect(writer.finish() == Array("-205".utf8))
    }

    @Test func everyByteThatIsEscapedIsReadBack() throws {
        for byte in Array(UInt8(0)..<0x20) + [UInt8(ascii: "\""), UInt8(ascii: "\\")] {
            let sequence = "\(JSONStringEscape.sequence(for: byte))"
            let json = Array("\"\(sequence)\"".utf8)
            var reader = try JSONReader(json.span)
            #expect(try reader.readString() == String(Unicode.Scalar(byte)), "\(sequence)")
            let text = [UInt8(ascii: "a"), byte]
            let special = JSONStringEscape.firstSpecial(in: text.span, from: 0)
            #expect(special == 1)
        }
    }
}
