import Testing
import WireJSON

/// Reads members and values with the reader's cursor.
struct ReaderTests {
    @Test func walksAnObject() throws {
        let bytes = Array(
            #" { "id" : "x1" , "n" : -42 , "skip" : [ { "id" : "inner" } ] , "flag" : true , "none" : null } "#.utf8)
        var reader = try JSONReader(bytes.span)
        var id: String?
        var number: Int64?
        var flag: Bool?
        var skipped: [String] = []
        try reader.enterObject()
        while let key = try reader.nextKey() {
            if reader.matches(key, "id") {
                id = try reader.readString()
            } else if reader.matches(key, "n") {
                number = try reader.readInt64()
            } else if reader.matches(key, "flag") {
                flag = try reader.readBool()
            } else {
                skipped.append(try reader.string(of: key))
                try reader.skipValue()
            }
        }
        try reader.finish()
        #expect(id == "x1")
        #expect(number == -42)
        #expect(flag == true)
        #expect(skipped == ["skip", "none"])
    }

    @Test func readsALocatedValueLater() throws {
        let bytes = Array(#"{"payload":{"list":[1,2,3]},"type":"t"}"#.utf8)
        var reader = try JSONReader(bytes.span)
        try reader.enterObject()
        _ = try reader.nextKey()
        let payload = try reader.skipValue()
        #expect(String(decoding: bytes[payload], as: UTF8.self) == #"{"list":[1,2,3]}"#)
        _ = try reader.nextKey()
        #expect(try reader.readString() == "t")
        #expect(try reader.nextKey() == nil)
        try reader.finish()

        var inner = reader.reader(at: payload.lowerBound)
        try inner.enterObject()
        _ = try inner.nextKey()
        try inner.enterArray()
        var numbers: [Int64] = []
        while try inner.nextElement() { numbers.append(try inner.readInt64()) }
        #expect(try inner.nextKey() == nil)
        #expect(numbers == [1, 2, 3])
    }

    @Test(arguments: [
        (#""""#, ""), (#""plain""#, "plain"), (#""é😀""#, "é😀"), (#""a\"b\\c\/d""#, "a\"b\\c/d"),
        (#""\b\f\n\r\t""#, "\u{8}\u{c}\n\r\t"), (#""\u0041\u00E9\u20ac\ud83d\uDE00\u0000""#, "Aé€😀\u{0}"),
        (#""é\u0041 mixed with more than eight bytes \n""#, "éA mixed with more than eight bytes \n"),
    ])
    func decodesStrings(_ json: String, _ text: String) throws {
        let bytes = Array(json.utf8)
        var reader = try JSONReader(bytes.span)
        #expect(try reader.readString() == text)
        try reader.finish()
    }

    @Test(arguments: [#""\ud800""#, #""\udc00""#, #""\ud800\u0041""#, #""\ud800x""#, #""\ud83d\ud83d""#])
    func refusesHalfACharacter(_ json: String) {
        let error = #expect(throws: JSONError.self) {
            let bytes = Array(json.utf8)
            var reader = try JSONReader(bytes.span)
            _ = try reader.readString()
        }
        #expect(error?.code == .loneSurrogate)
        #expect(error?.offset == 1)
    }

    @Test func comparesKeysWithEscapes() throws {
        let bytes = Array(#"{"\u0061b":1,"\ud800":2,"ab":3,"abc":4}"#.utf8)
        var reader = try JSONReader(bytes.span)
        try reader.enterObject()
        var matches: [Bool] = []
        while let key = try reader.nextKey() {
            matches.append(reader.matches(key, "ab"))
            try reader.skipValue()
        }
        #expect(matches == [true, false, true, false])
    }

    @Test(
        arguments: [
            ("0", 0), ("-0", 0), ("9223372036854775807", .max), ("-9223372036854775808", .min),
        ] as [(String, Int64)])
    func readsIntegers(_ json: String, _ value: Int64) throws {
        let bytes = Array(json.utf8)
        var reader = try JSONReader(bytes.span)
        #expect(try reader.readInt64() == value)
    }

    @Test(arguments: ["9223372036854775808", "-9223372036854775809", "1.0", "1e3", "99999999999999999999999"])
    func refusesOtherNumbersAsIntegers(_ json: String) {
        let error = #expect(throws: JSONError.self) {
            let bytes = Array(json.utf8)
            var reader = try JSONReader(bytes.span)
            _ = try reader.readInt64()
        }
        #expect(error == JSONError(.notAnInteger, at: 0, expected: .integer))
        #expect(error?.isShape == true)
    }

    @Test func handsOutDigitsVerbatim() throws {
        let bytes = Array(#"[-12.3400e+2 ,0.10]"#.utf8)
        var reader = try JSONReader(bytes.span)
        try reader.enterArray()
        var digits: [String] = []
        while try reader.nextElement() {
            digits.append(String(decoding: bytes[try reader.readNumber()], as: UTF8.self))
        }
        #expect(digits == ["-12.3400e+2", "0.10"])
    }

    @Test func tellsShapeFromSyntax() {
        func error(_ json: String, _ body: (inout JSONReader) throws(JSONError) -> Void) -> JSONError? {
            let bytes = Array(json.utf8)
            do {
                var reader = try JSONReader(bytes.span)
                try body(&reader)
                return nil
            } catch {
                return error
            }
        }
        let string = error(" 1") { reader throws(JSONError) in _ = try reader.readString() }
        #expect(string == JSONError(.wrongType, at: 1, expected: .string))
        let object = error("[]") { reader throws(JSONError) in try reader.enterObject() }
        #expect(object == JSONError(.wrongType, at: 0, expected: .object))
        let number = error("\"1\"") { reader throws(JSONError) in _ = try reader.readNumber() }
        #expect(number == JSONError(.wrongType, at: 0, expected: .number))
        let boolean = error("0") { reader throws(JSONError) in _ = try reader.readBool() }
        #expect(boolean == JSONError(.wrongType, at: 0, expected: .boolean))
        let syntax = error("?") { reader throws(JSONError) in _ = try reader.readBool() }
        #expect(syntax == JSONError(.unexpectedByte, at: 0, expected: .value))
    }

    @Test func readsNullOrLeavesTheValue() throws {
        let bytes = Array("[null,0]".utf8)
        var reader = try JSONReader(bytes.span)
        try reader.enterArray()
        var nulls: [Bool] = []
        while try reader.nextElement() {
            nulls.append(try reader.readNull())
            if nulls.last == false { try reader.skipValue() }
        }
        try reader.finish()
        #expect(nulls == [true, false])
    }

    @Test func describesErrors() {
        let error = JSONError(.unexpectedByte, at: 17, expected: .colon)
        #expect(error.description == "unexpected byte at byte 17, expected ':'")
        #expect(!error.isShape)
    }
}
