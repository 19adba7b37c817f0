import Testing
import WireJSON

/// Which texts are JSON according to RFC 8259.
struct GrammarTests {
    @Test(arguments: [
        "null", "true", "false", "0", "-0", "12", "-1.5", "1e5", "1E+5", "0.1e-10", #""""#, #""a""#, "[]", "{}",
        " [ ] ", "\t{\n}\r ", "[1,2,3]", "[[],[[]],{}]", #"{"a":1}"#, #"{"a":{"b":[1,{"c":null}]},"d":"e"}"#,
        #""\"\\\/\b\f\n\r\t""#, #""\u0041\u00e9\ud83d\ude00""#, #""\ud800""#, "\"é😀\u{7f}\"", #"{"a":1,"a":2}"#,
        #"{"":0}"#, #"[ 1 , { "a" : [ ] } ]"#, #""longer than eight bytes, with no escape at all""#,
        #""longer than eight bytes, \" with an escape""#,
    ])
    func accepts(_ text: String) throws {
        #expect(try skipped(Array(text.utf8)) == trimmed(text))
    }

    @Test(
        arguments: [
            ("", .unexpectedEnd, 0), ("  ", .unexpectedEnd, 2), ("[", .unexpectedEnd, 1), ("{", .unexpectedEnd, 1),
            ("]", .unexpectedByte, 0), ("[1,]", .unexpectedByte, 3), ("[,1]", .unexpectedByte, 1),
            ("[1 2]", .unexpectedByte, 3), (#"{"a"}"#, .unexpectedByte, 4), (#"{"a":}"#, .unexpectedByte, 5),
            (#"{"a":1,}"#, .unexpectedByte, 7), ("{a:1}", .unexpectedByte, 1), (#"{"a":1"b":2}"#, .unexpectedByte, 6),
            ("[1}", .unexpectedByte, 2), (#"{"a":1]"#, .unexpectedByte, 6), ("01", .invalidNumber, 1),
            ("1.", .unexpectedEnd, 2), ("-", .unexpectedEnd, 1), ("-x", .invalidNumber, 1), ("1.x", .invalidNumber, 2),
            ("1e", .unexpectedEnd, 2), ("1e+", .unexpectedEnd, 3), (".5", .unexpectedByte, 0),
            ("+1", .unexpectedByte, 0),
            ("nul", .unexpectedEnd, 3), ("nulL", .unexpectedByte, 0), ("tru ", .unexpectedByte, 0),
            ("NaN", .unexpectedByte, 0), ("1 1", .trailingBytes, 2), ("{} x", .trailingBytes, 3),
            (#""abc"#, .unexpectedEnd, 4), (#""\"#, .unexpectedEnd, 2), (#""\x""#, .invalidEscape, 1),
            (#""\u12g4""#, .invalidEscape, 1), (#""\u12"#, .unexpectedEnd, 5), ("\"a\nb\"", .controlCharacter, 2),
            ("\"\u{0}\"", .controlCharacter, 1), ("1\u{FEFF}", .trailingBytes, 1), ("\u{FEFF}", .unexpectedEnd, 3),
            ("\u{FEFF}\u{FEFF}1", .unexpectedByte, 3), ("'a'", .unexpectedByte, 0),
            ("// c\n1", .unexpectedByte, 0),
        ] as [(String, JSONError.Code, Int)])
    func refuses(_ text: String, _ code: JSONError.Code, _ offset: Int) {
        let error = #expect(throws: JSONError.self) { try skipped(Array(text.utf8)) }
        #expect(error?.code == code)
        #expect(error?.offset == offset)
    }

    @Test(
        arguments: [
            ([0x22, 0xFF, 0x22], 1), ([0x22, 0xC3, 0x22], 1), ([0x22, 0xED, 0xA0, 0x80, 0x22], 1),
            ([0x22, 0xC0, 0x80, 0x22], 1), ([0x20, 0x20, 0x80], 2),
        ] as [([UInt8], Int)])
    func refusesInvalidUTF8(_ bytes: [UInt8], _ offset: Int) {
        let error = #expect(throws: JSONError.self) { try skipped(bytes) }
        #expect(error?.code == .invalidUTF8)
        #expect(error?.offset == offset)
    }

    @Test func aByteOrderMarkInFrontIsPassedOver() throws {
        #expect(try skipped(Array("\u{FEFF} {\"a\":1}".utf8)) == #"{"a":1}"#)
        #expect(JSONPath.locate(8, in: Array("\u{FEFF}{\"a\":1}".utf8).span) == "$.a")
    }

    /// Compares the UTF-8 check with the standard library's. The texts are all sequences of one to three bytes from the
    /// borders of the table of well-formed characters, and characters after runs of ASCII of any length.
    @Test func agreesWithTheStandardLibraryOnUTF8() throws {
        let borders: [UInt8] = [
            0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF,
            0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF,
        ]
        var texts: [[UInt8]] = borders.map { [$0] }
        for _ in 0..<3 {
            texts += texts.suffix(borders.count * borders.count).flatMap { t in borders.map { t + [$0] } }
        }
        for ascii in 0...17 {
            texts += ["é", "€", "😀", "é€😀a"].map { Array(repeating: 0x61, count: ascii) + Array($0.utf8) + [0x62] }
        }
        var disagreements: [[UInt8]] = []
        for text in texts {
            let isValid = String(validating: text, as: UTF8.self) != nil
            let quoted = [UInt8(ascii: "\"")] + text + [UInt8(ascii: "\"")]
            if (try? skipped(quoted)) == nil, isValid { disagreements.append(text) }
            if (try? skipped(quoted)) != nil, !isValid { disagreements.append(text) }
        }
        #expect(texts.count > 10_000)
        #expect(disagreements.isEmpty)
    }

    @Test func refusesWhatIsNestedTooDeeply() throws {
        func nested(_ depth: Int) -> [UInt8] {
            Array(repeating: UInt8(ascii: "["), count: depth) + Array(repeating: UInt8(ascii: "]"), count: depth)
        }
        #expect(try skipped(nested(64)).count == 128)
        let error = #expect(throws: JSONError.self) { try skipped(nested(65)) }
        #expect(error?.code == .tooDeep)
        #expect(throws: JSONError.self) { try skipped(Array(repeating: UInt8(ascii: "["), count: 1_000_000)) }
        let shallow = #expect(throws: JSONError.self) {
            let bytes = nested(4)
            var reader = try JSONReader(bytes.span, depthLimit: 3)
            try reader.skipValue()
        }
        #expect(shallow?.code == .tooDeep)
    }

    /// Every truncated text, and every text with one replaced byte, is either JSON or gives an error with an offset
    /// inside the text.
    @Test func survivesMutations() throws {
        let seed = Array(
            #"{"a":[1,-2.5e3,"x\u00e9\n",true,null,{"b":{}}],"é":"😀","long key name":"long value here"}"#.utf8)
        var outcomes = (accepted: 0, refused: 0)
        func check(_ bytes: [UInt8]) {
            do {
                _ = try skipped(bytes)
                outcomes.accepted += 1
            } catch {
                outcomes.refused += 1
                #expect((0...bytes.count).contains(error.offset))
            }
        }
        for cut in 0..<seed.count { check(Array(seed[..<cut])) }
        for index in seed.indices {
            for byte in stride(from: UInt8(0), to: 255, by: 3) {
                var mutated = seed
                mutated[index] = byte
                check(mutated)
            }
        }
        #expect(outcomes.accepted > 100)
        #expect(outcomes.refused > 1_000)
    }

    private func skipped(_ bytes: [UInt8]) throws(JSONError) -> String {
        var reader = try JSONReader(bytes.span)
        let range = try reader.skipValue()
        try reader.finish()
        return String(decoding: bytes[range], as: UTF8.self)
    }

    private func trimmed(_ text: String) -> String {
        String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}
