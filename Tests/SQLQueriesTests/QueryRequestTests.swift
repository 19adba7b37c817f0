import RequestValues
import StreamCore
import Testing
import WireJSON

@testable import SQLQueries

@Suite struct QueryRequestTests {
    private static let text = """
        -- @reads a
        -- @param t text max=5
        -- @param i integer min=-2 max=7
        -- @param d decimal min=-1.5
        -- @param b boolean default=true
        -- @param day date
        -- @param at timestamp
        -- @param id uuid
        -- @param e enum(x,y)[] items=2
        -- @order k
        -- @limit default=2 max=9
        -- @version v
        SELECT :t, :i, :d, :b, :day, :at, :id, :e
        """
    private let query: SQLQuery

    init() throws {
        query = try QueryFileTests.query(Self.text)
    }

    private func complaints(_ parameters: [(name: String, value: String)]) -> [ParameterComplaint] {
        do {
            _ = try QueryRequest(parameters, of: query)
            return []
        } catch {
            return error.complaints
        }
    }

    @Test func valuesAreOfTheirTypes() throws {
        let id = try #require(EventID("0197a3b0-0000-7000-8000-00000000000a"))
        let request = try QueryRequest(
            [
                ("t", "a'; --"[...].prefix(5).description), ("i", "-2"), ("d", "-1.50"), ("b", "false"),
                ("day", "1970-01-02"), ("at", "1970-01-01T00:00:01Z"), ("id", id.description), ("e", "y"), ("e", "x"),
                ("limit", "9"), ("min_version", "3"),
            ], of: query)
        #expect(
            request.arguments == [
                .one(.text("a'; -")), .one(.integer(-2)), .one(.decimal("-1.5")), .one(.boolean(false)),
                .one(.date("1970-01-02", 1)), .one(.timestamp(Timestamp(microseconds: 1_000_000))), .one(.uuid(id)),
                .list([.text("y"), .text("x")]),
            ])
        #expect(request.limit == 9 && request.minVersion == 3 && request.position == nil)
    }

    @Test func whatIsNotGivenIsTheDefaultOrNull() throws {
        let request = try QueryRequest([], of: query)
        #expect(
            request.arguments == [.absent, .absent, .absent, .one(.boolean(true))] + Array(repeating: .absent, count: 4)
        )
        #expect(request.limit == 2 && request.minVersion == nil)
    }

    @Test(arguments: [
        ("t", "abcdef", "must not have more than 5 characters"), ("t", "a\nb", "must not have control characters"),
        ("i", "8", "must not be greater than 7"), ("i", "-3", "must not be less than -2"),
        ("i", "1e2", "must be an integer"),
        ("i", "9223372036854775808", "must be an integer"), ("i", "", "must be an integer"),
        ("d", "-1.51", "must not be less than -1.5"), ("d", "1,5", "must be a decimal such as"),
        ("d", "1e3", "must be a decimal such as"), ("b", "1", "must be true or false"),
        ("day", "2026-02-30", "must be a date"), ("day", "2026-01-01T00:00:00Z", "must be a date"),
        ("at", "yesterday", "must be a time"), ("id", "1", "must be a UUID"), ("e", "z", "must be one of x, y"),
        ("limit", "10", "must be an integer from 1 to 9"), ("limit", "0", "must be an integer from 1 to 9"),
        ("min_version", "0", "must be an integer from 1"), ("cursor", "x", "must be the cursor of a page"),
        (
            "nobody", "1",
            "is not a parameter of this query; the parameters are: t, i, d, b, day, at, id, e, limit, cursor"
        ),
    ]) func whatIsWrongNamesTheParameter(_ name: String, _ value: String, _ detail: String) {
        let found = complaints([(name, value)])
        #expect(found.count == 1 && found.first?.parameter == name)
        #expect(found.first?.detail.hasPrefix(detail) == true, "\(found)")
    }

    @Test func allThatIsWrongIsToldAtOnce() {
        let found = complaints([("t", "x"), ("t", "y"), ("e", "x"), ("e", "x"), ("e", "y"), ("limit", "a"), ("i", "a")])
        #expect(found.map(\.parameter) == ["t", "i", "e", "limit"])
        #expect(
            found[0].detail == "is given more than once" && found[2].detail == "must not be given more than 2 times")
        #expect(complaints((0..<100).map { ("p\($0)", "") }).count == 16)
    }

    @Test func whatIsRequiredMustBeGiven() throws {
        let query = try QueryFileTests.query("-- @reads a\n-- @param x text required\nSELECT :x")
        let error = #expect(throws: QueryRequest.Invalid.self) { try QueryRequest([], of: query) }
        #expect(error?.complaints == [ParameterComplaint(parameter: "x", detail: "is required")])
        // The query has no order and no version, so these parameters are unknown.
        #expect(throws: QueryRequest.Invalid.self) { try QueryRequest([("x", ""), ("cursor", "a")], of: query) }
        #expect(throws: QueryRequest.Invalid.self) { try QueryRequest([("x", ""), ("min_version", "1")], of: query) }
    }

    // MARK: cursors

    @Test func aCursorIsGoodForItsRequestAlone() throws {
        let arguments = try QueryRequest([("t", "a")], of: query).arguments
        let position = QueryPosition(["é|'"])
        let text = QueryCursor.text(position, of: query, arguments)
        #expect(try QueryRequest([("t", "a"), ("limit", "1"), ("cursor", text)], of: query).position == position)
        #expect(complaints([("t", "b"), ("cursor", text)]).map(\.parameter) == ["cursor"])
        for index in text.indices {
            var changed = text
            changed.replaceSubrange(index...index, with: text[index] == "A" ? "B" : "A")
            #expect(complaints([("t", "a"), ("cursor", changed)]).count == 1, "\(changed)")
        }
        let other = try QueryFileTests.query(Self.text.replacing("@order k", with: "@order k desc"))
        #expect(QueryCursor.position(in: text, of: other, arguments) == nil)
        let two = QueryCursor.text(QueryPosition(["a", "b"]), of: query, arguments)
        #expect(QueryCursor.position(in: two, of: query, arguments) == nil)
    }

    @Test func aPathGivesAValueOnce() throws {
        let query = try QueryFileTests.query("-- @reads a\n-- @path /v1/x/{id}\n-- @param id text max=3\nSELECT :id")
        #expect(try QueryRequest([], path: ["id": "a/b"], of: query).arguments == [.one(.text("a/b"))])
        #expect(try QueryRequest([("id", "a")], of: query).arguments == [.one(.text("a"))])
        for (given, value, detail) in [
            ([("id", "a")], "a", "is given by the path"), ([], "abcd", "must not have more than 3 characters"),
            ([], "a\n", "must not have control characters"),
        ] {
            let error = #expect(throws: QueryRequest.Invalid.self) {
                try QueryRequest(given.map { (name: $0.0, value: $0.1) }, path: ["id": value], of: query)
            }
            #expect(error?.complaints == [ParameterComplaint(parameter: "id", detail: detail)])
        }
    }

    @Test func theSameRequestHasTheSameText() throws {
        func text(_ parameters: [(name: String, value: String)]) throws -> String {
            try QueryRequest(parameters, of: query).canonicalText
        }
        #expect(try text([("i", "1"), ("d", "1.50")]) == text([("d", "01.5"), ("i", "01")]))
        #expect(try text([("t", "1")]) != text([("i", "1")]))
        #expect(try text([("t", "1")]) != text([("t", "1"), ("limit", "3")]))
        #expect(try text([("e", "x"), ("e", "y")]) != text([("e", "y"), ("e", "x")]))
    }

    // MARK: documentation

    @Test func openAPINamesEachParameter() throws {
        let base = Array(#"{"openapi": "3.1.0", "paths": {"/v1/orders": {}}}"#.utf8)
        let document = QueryDocumentation.document(base, with: [query])
        var reader = try JSONReader(document.span)
        try reader.skipValue()
        try reader.finish()
        let text = String(decoding: document, as: UTF8.self)
        #expect(text.contains(#""paths": {"/v1/q/q":{"get":"#) && text.hasSuffix(#","/v1/orders": {}}}"#))
        for name in ["t", "i", "d", "b", "day", "at", "id", "e", "limit", "cursor", "min_version"] {
            #expect(text.contains("{\"name\":\"\(name)\",\"in\":\"query\""), "\(name)")
        }
        #expect(text.contains(#""schema":{"type":"integer","minimum":-2,"maximum":7}"#))
        #expect(text.contains(#""maxItems":2,"items":{"type":"string","enum":["x","y"]}"#))
        #expect(QueryDocumentation.document(base, with: []) == base)
    }
}
