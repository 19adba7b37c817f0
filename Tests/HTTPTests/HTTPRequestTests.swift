import HTTP
import Operations
import TestKit
import Testing

/// Tests targets, headers and methods of requests, and everything that is not a valid request.
@Suite struct HTTPRequestTests {
    /// The handlers return what they received.
    private static let echo = [
        HTTPRoute("/") { _ in text("root") },
        HTTPRoute("/v1/orders/{id}") { request in
            let query = request.query.map { "\($0.name)=\($0.value)" }.joined(separator: ";")
            return text("\(request.method) \(request.path) [\(request.parameter("id"))] \(query)")
        },
        HTTPRoute("/v1/orders/latest") { _ in text("latest") },
        HTTPRoute("/v1/{kind}/{id}/lines") { text("\($0.parameter("kind")) \($0.parameter("id"))") },
        HTTPRoute("/headers") { text("\($0.header("x-one") ?? "none") \($0.header("X-MANY") ?? "none")") },
    ]

    /// Whatever the parameters are named, and in whatever order the routes are given.
    @Test func literalPartsComeFirst() async throws {
        let templates = ["/v1/{a}/{b}", "/v1/{a}/x", "/v1/{z}/y", "/v1/w/{c}", "/v1/w/x"]
        for templates in [templates, templates.reversed()] {
            try await ServedHTTP.run(templates.map { template in HTTPRoute(template) { _ in text(template) } }) {
                server in
                let client = try server.client()
                for (path, expected) in [
                    ("/v1/p/q", "/v1/{a}/{b}"), ("/v1/p/x", "/v1/{a}/x"), ("/v1/p/y", "/v1/{z}/y"),
                    ("/v1/w/y", "/v1/w/{c}"), ("/v1/w/x", "/v1/w/x"),
                ] {
                    #expect(try await client.get(path).body == expected, "\(path)")
                }
            }
        }
    }

    @Test func routesAreReplacedAllAtOnce() async throws {
        let routes = HTTPRoutes([HTTPRoute("/old") { _ in text("old") }, HTTPRoute("/both") { _ in text("before") }])
        try await ServedHTTP.run(routes) {
            $0.name = "replaced"
        } _: { server in
            let client = try server.client()
            #expect(try await client.get("/both").body == "before")
            routes.replace(with: [
                HTTPRoute("/new/{id}") { _ in text("new") }, HTTPRoute("/both") { _ in text("after") },
            ])
            #expect(try await client.get("/both").body == "after")
            #expect(try await client.get("/new/secret").body == "new")
            #expect(try await client.get("/old").status == 404)
            let metrics = HTTPMetricsTests.metrics.exposition()
            #expect(metrics.contains(#"requests_total{route="/both",server="replaced",status="2xx"} 2"#))
            #expect(metrics.contains(#"requests_total{route="/new/{id}",server="replaced",status="2xx"} 1"#))
            #expect(!metrics.contains("/new/secret"))
        }
    }

    @Test func targetsAreDecoded() async throws {
        try await ServedHTTP.run(Self.echo) { server in
            let client = try server.client()
            let expected = [
                "/": "root",
                "/v1/orders/7": "GET /v1/orders/7 [7] ",
                "/v1/orders/latest": "latest",
                "/v1/orders/a%2Fb%20c+d": "GET /v1/orders/a/b c+d [a/b c+d] ",
                "/v1/orders/%C3%A4?b=2&a=1&a=%26+x&&c&d=e=f": "GET /v1/orders/ä [ä] b=2;a=1;a=& x;c=;d=e=f",
                "http://elsewhere:80/v1/orders/7?x=1": "GET /v1/orders/7 [7] x=1",
                "/v1/orders/../orders/lines": "404",
                "/v1/%6frders/1/lines": "orders 1",
                "/v1/orders/..": "GET /v1/orders/.. [..] ",
                "/v1/orders/'%3B%20DROP%20TABLE%20orders--":
                    "GET /v1/orders/'; DROP TABLE orders-- ['; DROP TABLE orders--] ",
            ]
            for (target, body) in expected.sorted(by: { $0.key < $1.key }) {
                let response = try await client.get(target)
                #expect(response.status == 200 ? response.body == body : body == "\(response.status)", "\(target)")
            }
        }
    }

    @Test(arguments: [
        ("/v1/orders/%", 400), ("/v1/orders/%4", 400), ("/v1/orders/%zz", 400), ("/v1/orders/%ff", 400),
        ("/v1/orders/%C3%28", 400), ("/v1/orders/%00", 400), ("/v1/orders/7?a=%GG", 400), ("/v1/orders/7?%fe=1", 400),
        ("ftp://x/y", 400), ("http://x", 400), ("*", 400), ("/v1/orders/ä", 400),
        ("/v1/orders", 404), ("/v1/orders/", 404), ("/v1/orders/7/", 404), ("//", 404), ("/V1/orders/7", 404),
        ("/none", 404), ("/v1//7", 404),
    ])
    func targetsThatAreNone(target: String, status: Int) async throws {
        try await ServedHTTP.run(Self.echo) { server in
            let response = try await server.get(target)
            #expect(response.status == status)
            #expect(response.header("content-type") == "application/problem+json")
            #expect(response.body.contains(#""type":"about:blank""#) && response.body.contains(#""status":\#(status)"#))
        }
    }

    @Test func headersAreJoinedWhateverTheirCase() async throws {
        try await ServedHTTP.run(Self.echo) { server in
            let headers = "X-ONE: 1\r\nx-many: a\r\nX-Many: b,c\r\n"
            let client = try server.client()
            #expect(try await client.get("/headers", headers: headers).body == "1 a, b,c")
            #expect(try await client.get("/headers").body == "none none")
        }
    }

    @Test func headIsAnsweredWithoutTheBody() async throws {
        try await ServedHTTP.run(Self.echo) { server in
            let client = try server.client()
            try await client.send("HEAD /v1/orders/latest HTTP/1.1\r\nHost: x\r\n\r\n")
            let response = try await client.response(hasBody: false)
            #expect(response.status == 200)
            #expect(response.header("content-length") == "6")
            // A body after the HEAD response would be read as the next response.
            #expect(try await client.get("/").body == "root")
        }
    }

    @Test(arguments: ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
    func otherMethodsAreNotAllowed(method: String) async throws {
        try await ServedHTTP.run(Self.echo) { server in
            let client = try server.client()
            try await client.send("\(method) / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            let response = try await client.response()
            #expect(response.status == 405)
            #expect(response.header("allow") == "GET, HEAD")
            #expect(try await client.get("/").body == "root")
        }
    }

    @Test(arguments: [
        ("NONSENSE\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost x\r\n\r\n", 400), ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400), ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnot a chunk\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n", 400), ("GET /\u{1}\u{2} HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n", 413),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400),
        ("GET /" + String(repeating: "a", count: 9_000) + " HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        ("GET /" + String(repeating: "a", count: 90_000) + " HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: " + String(repeating: "a", count: 30_000) + "\r\n\r\n", 431),
        ("GET / HTTP/1.1\r\nHost: x\r\n" + String(repeating: "A: a\r\n", count: 200) + "\r\n", 431),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                + String(repeating: "1000\r\n" + String(repeating: "a", count: 4_096) + "\r\n", count: 20), 413
        ),
    ])
    func whatIsNoRequestIsRefused(bytes: String, status: Int) async throws {
        try await ServedHTTP.run(Self.echo) { server in
            let client = try server.client()
            try await client.send(bytes)
            let response = try await client.response()
            #expect(response.status == status)
            #expect(response.header("content-type") == "application/problem+json")
            let mayGoOn = bytes.hasSuffix("\r\n\r\n") && response.header("connection") != "close"
            if !mayGoOn {
                #expect(response.header("connection") == "close")
                #expect(try await client.receiveToEnd() == "")
            }
        }
    }

    @Test func aFloodOfHeadersIsCutOff() async throws {
        try await ServedHTTP.run(Self.echo) { server in
            let client = try server.client()
            try await client.send("GET / HTTP/1.1\r\nHost: x\r\n")
            let flood = String(repeating: "X-Flood: " + String(repeating: "x", count: 1_000) + "\r\n", count: 64)
            // The server continues to read for a while, so that the client receives its answer. Then it closes the
            // connection.
            var sent = 0
            try await eventually {
                guard let count = client.sendNow(flood) else { return true }
                sent += count
                return false
            }
            #expect(sent < 64 << 20)
            #expect(try await client.response().status == 431)
            #expect(try await server.get("/").status == 200)
        }
    }

    @Test func aBodyWithinTheLimitIsReadAndDropped() async throws {
        try await ServedHTTP.run(Self.echo) { server in
            let client = try server.client()
            try await client.send("GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            try await client.receive(through: "HTTP/1.1 100 Continue\r\n\r\n")
            try await client.send("hello")
            #expect(try await client.response().body == "root")
            let chunked = "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
            try await client.send(chunked)
            #expect(try await client.response().body == "root")
            #expect(try await client.get("/").body == "root")
        }
    }
}
