import Testing
import WireJSON

struct TreeTests {
    @Test(arguments: [
        #"{"a":[1,2.50,-1e3,{"b":"x\n"}],"c":true,"d":false,"e":null,"f":{}}"#, "[]", "0.10", #""é""#,
    ])
    func comesBackAsItWas(_ json: String) throws {
        #expect(try written(tree(json)) == json)
    }

    @Test func changesMembersInTheirPlace() throws {
        var value = try tree(#"{"a":1,"b":2,"c":3}"#)
        #expect(value.rename("b", to: "z") == true)
        #expect(value.rename("b", to: "y") == false)
        value["a"] = .string("new")
        value["c"] = nil
        value["d"] = .null
        #expect(try written(value) == #"{"a":"new","z":2,"d":null}"#)
        #expect(value["z"] == .number("2"))
        #expect(value["nothing"] == nil)
        var scalar = JSONValue.bool(true)
        scalar["a"] = .null
        #expect(scalar == .bool(true))
        #expect(scalar.rename("a", to: "b") == false)
    }

    @Test(arguments: [
        ("{", "$"), ("[", "$.a"), ("4", "$.a[0]"), ("c", "$.a[1].b"), ("}", "$.a[1]"), ("7", "$.last"), ("x", "$"),
    ])
    func namesAPlace(_ mark: Character, _ path: String) throws {
        let bytes = Array(#"{"a":[42,{"b":"c"}],"last" : 7 x"#.utf8)
        let offset = try #require(bytes.firstIndex(of: mark.asciiValue!))
        #expect(JSONPath.locate(offset, in: bytes.span) == path)
    }

    private func tree(_ json: String) throws(JSONError) -> JSONValue {
        let bytes = Array(json.utf8)
        var reader = try JSONReader(bytes.span)
        return try JSONValue(from: &reader)
    }

    private func written(_ value: JSONValue) throws -> String {
        var writer = JSONWriter()
        value.write(to: &writer)
        return String(decoding: writer.finish(), as: UTF8.self)
    }
}
