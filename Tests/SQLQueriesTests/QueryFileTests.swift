import Foundation
import SQLText
import Testing

@testable import SQLQueries

@Suite struct QueryFileTests {
    static func query(_ text: String, named name: String = "q") throws -> SQLQuery {
        try SQLQuery(SQLFile(path: "f/\(name).sql", text: text))
    }

    @Test func aHeaderIsReadAsItStands() throws {
        let query = try Self.query(
            """
            -- Finds orders.
            --
            -- Of a customer,
            -- or of all.
            -- @reads customer-orders, accounts@2
            -- @param customer text max=40 default="a b" The customer's id.
            -- @param status enum(created,paid)[] items=3
            -- @param min decimal min=-1.5 max=10 required Not less = than this.
            -- @path /v1/customers/{customer}/orders-of.it/{min}
            -- @order created_at desc, order_id
            -- @limit default=5 max=10
            -- @cache 500ms
            -- @timeout 3s
            -- @version sequence
            SELECT ':no', a::text FROM t -- :neither
            WHERE c = :customer AND s = ANY (:status) AND m >= :min AND d = :customer;
            """)
        #expect(query.name == "q")
        #expect(query.description == "Finds orders.\n\nOf a customer, or of all.")
        #expect(
            query.reads == [.init(name: "customer-orders", version: nil), .init(name: "accounts", version: 2)])
        #expect(query.parameters.map(\.name) == ["customer", "status", "min"])
        #expect(query.parameters[0].defaultValue == .text("a b") && query.parameters[0].bounds.length == 40)
        #expect(query.parameters[0].description == "The customer's id.")
        #expect(query.parameters[1].kind == .choice(["created", "paid"]) && query.parameters[1].isList)
        #expect(query.parameters[1].bounds.count == 3)
        #expect(query.parameters[2].isRequired && query.parameters[2].description == "Not less = than this.")
        #expect(
            query.order == [
                .init(name: "created_at", isDescending: true), .init(name: "order_id", isDescending: false),
            ])
        #expect(query.path?.template == "/v1/customers/{customer}/orders-of.it/{min}")
        #expect(query.path?.parameters == ["customer", "min"])
        #expect(query.defaultLimit == 5 && query.maxLimit == 10)
        #expect(query.cacheMs == 500 && query.timeoutMs == 3_000 && query.versionColumn == "sequence")
        #expect(
            query.body.text
                == "SELECT ':no', a::text FROM t -- :neither\nWHERE c = $1 AND s = ANY ($2) AND m >= $3 AND d = $1")
    }

    @Test func whatIsNotSaidHasDefaults() throws {
        let query = try Self.query("-- @reads a\nSELECT 1 AS one")
        #expect(query.defaultLimit == 50 && query.maxLimit == 200 && query.timeoutMs == 1_000)
        #expect(query.cacheMs == nil && query.order.isEmpty && query.versionColumn == nil && query.parameters.isEmpty)
    }

    @Test(arguments: [
        ("SELECT 1", "1:1: name the projections that the query reads"),
        ("-- @read a\nSELECT 1", "1:5: there is no @read; there are @param"),
        ("-- @reads a@x\nSELECT 1", "1:11: expected a projection's name, or NAME@VERSION"),
        ("-- @reads a\n-- @param x txt\nSELECT :x", "2:13: expected text, integer"),
        ("-- @reads a\n-- @param x enum(a,,b)\nSELECT :x", "2:13: expected text, integer"),
        ("-- @reads a\n-- @param X text\nSELECT 1", "2:11: a parameter's name must"),
        ("-- @reads a\n-- @param limit text\nSELECT 1", "2:11: limit is a reserved name"),
        ("-- @reads a\n-- @param x text\n-- @param x text\nSELECT :x", "3:11: x is declared twice"),
        ("-- @reads a\n-- @param x text mx=3\nSELECT :x", "2:18: mx=3 is not an option of this type"),
        ("-- @reads a\n-- @param x text max=10001\nSELECT :x", "2:18: max=10001 is not an option"),
        ("-- @reads a\n-- @param x integer default=a\nSELECT :x", "2:21: the default must be an integer"),
        ("-- @reads a\n-- @param x integer max=3 default=4\nSELECT :x", "2:27: the default must not be greater than 3"),
        (
            "-- @reads a\n-- @param x text required default=a\nSELECT :x",
            "2:27: a required parameter must not have a default"
        ),
        ("-- @reads a\n-- @limit default=10 max=5\nSELECT 1", "2:27: the default is greater than the maximum"),
        ("-- @reads a\n-- @limit max=0\nSELECT 1", "2:11: expected default=ROWS max=ROWS"),
        ("-- @reads a\n-- @cache 5\nSELECT 1", "2:11: expected a time"),
        ("-- @reads a\n-- @cache 5s 6s\nSELECT 1", "2:14: unexpected 6s"),
        ("-- @reads a\n-- @cache 5s\n-- @cache 6s\nSELECT 1", "3:5: @cache occurs twice"),
        ("-- @reads a\n-- @order a down\nSELECT 1", "2:11: expected COLUMN"),
        ("-- @reads a\n-- @path v1/a\nSELECT 1", "2:10: expected a path under /v1/"),
        ("-- @reads a\n-- @path\nSELECT 1", "2:9: expected a path under /v1/"),
        ("-- @reads a\n-- @path /v2/a\nSELECT 1", "2:10: expected a path under /v1/"),
        ("-- @reads a\n-- @path http://x/v1/a\nSELECT 1", "2:10: expected a path under /v1/"),
        ("-- @reads a\n-- @path /v1/a/\nSELECT 1", "2:16: a part of a path must be"),
        ("-- @reads a\n-- @path /v1/a//b\nSELECT 1", "2:16: a part of a path must be"),
        ("-- @reads a\n-- @path /v1/../a\nSELECT 1", "2:14: a part of a path must be"),
        ("-- @reads a\n-- @path /v1/a%20\nSELECT 1", "2:14: a part of a path must be"),
        ("-- @reads a\n-- @path /v1/é\nSELECT 1", "2:14: a part of a path must be"),
        ("-- @reads a\n-- @path /v1/a{x}\n-- @param x text\nSELECT :x", "2:14: a part of a path must be"),
        ("-- @reads a\n-- @path /v1/{}\nSELECT 1", "2:14: a part of a path must be"),
        ("-- @reads a\n-- @path /v1/{x}/y/{x}\n-- @param x text\nSELECT :x", "2:20: {x} occurs twice in the path"),
        ("-- @reads a\n-- @path /v1/y/{x}\nSELECT 1", "2:10: there is no parameter x; declare it"),
        ("-- @reads a\n-- @path /v1/y/{limit}\nSELECT 1", "2:10: there is no parameter limit"),
        ("-- @reads a\n-- @path /v1/{x}\n-- @param x text[]\nSELECT :x", "2:10: x is a list"),
        ("-- @reads a\n-- @path /v1/a /v1/b\nSELECT 1", "2:16: unexpected /v1/b"),
        ("-- @reads a\n-- é\nSELECT 'é', :y", "3:13: there is no parameter y; declare it"),
        ("-- @reads a\n-- @param x text\nSELECT 1", "2:11: the statement does not use :x"),
        ("-- @reads a\nSELECT $1", "2:8: use a named parameter instead"),
        ("-- @reads a\nDELETE FROM t", "2:1: a query must begin with SELECT"),
        ("-- @reads a\nSELECT 1; SELECT 2", "2:11: a query must be one statement"),
        ("-- @reads a\n", "1:1: no statement"), ("-- @reads a\nSELECT 'a", "2:8: this string has no end"),
    ]) func whatIsWrongIsToldWhereItStands(_ text: String, _ expected: String) throws {
        let error = #expect(throws: InvalidFolder.self) { try Self.query(text) }
        let found = error?.problems.map { $0.description.replacing("f/q.sql:", with: "") } ?? []
        #expect(found.contains { $0.hasPrefix(expected) }, "\(found)")
    }

    @Test(arguments: ["Q", "a_b", "", "1a", String(repeating: "a", count: 61)])
    func aNameThatIsNone(_ name: String) {
        #expect(throws: InvalidFolder.self) { try Self.query("-- @reads a\nSELECT 1", named: name) }
    }

    // MARK: paths of several queries

    @Test(arguments: [
        ("/v1/things/{id}", "/v1/things/{name}", true), ("/v1/things/{id}", "/v1/things/search", false),
        ("/v1/things/{id}/a", "/v1/things/{id}/b", false), ("/v1/things/{id}", "/v1/things/{id}/b", false),
        ("/v1/things", "/v1/things", true),
    ]) func twoQueriesHaveTwoPaths(_ first: String, _ second: String, _ isRefused: Bool) throws {
        let problems = try Self.problems(of: ["a": first, "b": second], besides: [])
        #expect(problems.count == (isRefused ? 1 : 0), "\(problems)")
        if let problem = problems.first {
            #expect(
                problem.hasSuffix("a.sql:2:10 already has this path") && problem.contains("b.sql:2:10: "), "\(problem)")
        }
    }

    @Test(arguments: [
        ("/v1/orders/{x}", "the service itself answers /v1/orders/{id}"),
        ("/v1/orders/search", "/v1/orders/search takes requests from /v1/orders/{id}"),
        ("/v1/q/search", "/v1/q/search takes requests from /v1/q/{name}"),
        // The built-in path is literal where this one is not, so it keeps its requests.
        ("/v1/customers/{x}/{y}", nil), ("/v1/{x}/{y}", nil), ("/v1/products/search", nil), ("/v1/orders", nil),
    ]) func aFileTakesNothingFromTheService(_ path: String, _ expected: String?) throws {
        let builtIn = ["/v1/orders/{id}", "/v1/customers/{id}/orders", "/v1/q/{name}", "/"]
        let problems = try Self.problems(of: ["a": path], besides: builtIn)
        #expect(problems.count == (expected == nil ? 0 : 1), "\(problems)")
        #expect(expected.map { problems.first?.contains("a.sql:2:10: " + $0) == true } ?? true, "\(problems)")
    }

    /// What is wrong with a folder whose queries have these paths.
    private static func problems(of paths: [String: String], besides builtIn: [String]) throws -> [String] {
        let folder = FileManager.default.temporaryDirectory.appending(path: "millrace-paths-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, path) in paths {
            let names = path.matches(of: #/\{([a-z]+)\}/#).map { String($0.1) }
            let parameters = names.map { "-- @param \($0) text\n" }.joined()
            let columns = (["1"] + names.map { ":" + $0 }).joined(separator: ", ")
            try "-- @reads x\n-- @path \(path)\n\(parameters)SELECT \(columns)"
                .write(to: folder.appending(path: name + ".sql"), atomically: true, encoding: .utf8)
        }
        do throws(InvalidFolder) {
            _ = try QueryFolders([folder.path], besides: builtIn)
            return []
        } catch {
            return error.problems.map(\.description)
        }
    }
}
