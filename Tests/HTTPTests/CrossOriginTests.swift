import HTTP
import TestKit
import Testing

/// Tests which pages of other origins may use a server.
@Suite struct CrossOriginTests {
    private static let routes = [
        HTTPRoute("/v1/orders/{id}") { _ in text("an order") },
        HTTPRoute("/v1/orders/{id}", method: .post) { text("\($0.body.count) bytes") },
    ]
    private static let page = "https://shop.example"

    private static func preflight(from origin: String, on client: RawClient) async throws -> RawClient.Response {
        try await client.send(
            """
            OPTIONS /v1/orders/7 HTTP/1.1\r
            Host: x\r
            Origin: \(origin)\r
            Access-Control-Request-Method: POST\r
            Access-Control-Request-Headers: authorization, idempotency-key\r
            \r

            """)
        return try await client.response(hasBody: false)
    }

    @Test func aPageOfAnAllowedOriginIsLetIn() async throws {
        try await ServedHTTP.run(Self.routes) {
            $0.allowedOrigins = ["http://127.0.0.1:8080", Self.page]
        } _: { server in
            let client = try server.client()
            let answer = try await Self.preflight(from: Self.page, on: client)
            #expect(answer.status == 204)
            #expect(answer.header("access-control-allow-origin") == Self.page)
            #expect(answer.header("access-control-allow-methods") == "GET, HEAD, POST")
            #expect(answer.header("access-control-allow-headers") == "Authorization, *")
            #expect(answer.header("vary") == "Origin")
            // Allowed pages can also read problem responses.
            for (target, status) in [("/v1/orders/7", 200), ("/none", 404)] {
                let response = try await client.get(target, headers: "Origin: \(Self.page)\r\n")
                #expect(response.status == status)
                #expect(response.header("access-control-allow-origin") == Self.page, "\(target)")
                #expect(response.header("access-control-expose-headers") == "*")
            }
        }
    }

    /// A page of another site must not read this server's responses through its visitor's browser.
    @Test(arguments: ["https://evil.example", "https://shop.example.evil", "http://shop.example", "null", ""])
    func otherOriginsAreNotLetIn(origin: String) async throws {
        try await ServedHTTP.run(Self.routes) {
            $0.allowedOrigins = [Self.page]
        } _: { server in
            let client = try server.client()
            let answer = try await Self.preflight(from: origin, on: client)
            let response = try await client.get("/v1/orders/7", headers: "Origin: \(origin)\r\n")
            for response in [answer, response] {
                #expect(response.header("access-control-allow-origin") == nil)
                #expect(response.header("access-control-allow-methods") == nil)
                // Without `Vary`, a cache could return this response to an allowed page.
                #expect(response.header("vary") == "Origin")
            }
        }
    }

    @Test func withoutAllowedOriginsNothingIsSaidOfThem() async throws {
        try await ServedHTTP.run(Self.routes) { server in
            let client = try server.client()
            #expect(try await client.get("/v1/orders/7", headers: "Origin: \(Self.page)\r\n").header("vary") == nil)
            try await client.send(
                "OPTIONS /v1/orders/7 HTTP/1.1\r\nHost: x\r\nAccess-Control-Request-Method: POST\r\n\r\n")
            #expect(try await client.response().status == 405)
        }
    }

    @Test(arguments: [
        ("https://shop.example", true), ("http://127.0.0.1:8080", true), ("http://[::1]:8080", true),
        ("https://shop.example/", false), ("https://shop.example:443", false), ("http://Shop.example", false),
        ("shop.example", false), ("*", false), ("null", false), ("", false), ("https://", false),
    ])
    func onlyWhatBrowsersSendIsAnOrigin(text: String, isOrigin: Bool) {
        #expect(HTTPServerConfiguration.isOrigin(text) == isOrigin)
        var configuration = HTTPServerConfiguration()
        configuration.allowedOrigins = [text]
        #expect(((try? configuration.validate()) != nil) == isOrigin)
    }
}
