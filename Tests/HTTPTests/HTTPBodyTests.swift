import HTTP
import TestKit
import Testing

/// Tests requests with bodies, such as commands.
@Suite struct HTTPBodyTests {
    private static let routes = [
        HTTPRoute("/v1/orders", method: .post) { request in
            guard request.header("content-type") == "application/json" else { throw Problem(status: 415) }
            return text("\(request.method) \(String(decoding: request.body, as: UTF8.self))", status: 201)
        },
        HTTPRoute("/v1/orders") { text("list \($0.body.count)") },
        HTTPRoute("/v1/orders/{id}", method: .delete) { text("deleted \($0.parameter("id"))") },
        HTTPRoute("/v1/orders/{id}", method: .put) { text("put \($0.body.count)") },
        HTTPRoute("/v1/orders/{id}", method: .patch) { text("patched \($0.body.count)") },
    ]

    private static func post(_ body: String, type: String = "application/json") -> String {
        "POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test func aBodyIsHandedToItsRoute() async throws {
        try await ServedHTTP.run(Self.routes) { server in
            let client = try server.client()
            try await client.send(Self.post(#"{"customer":"ä"}"#))
            let created = try await client.response()
            #expect(created.status == 201 && created.body == #"POST {"customer":"ä"}"#)
            try await client.send(Self.post("<order/>", type: "application/xml"))
            #expect(try await client.response().status == 415)
            try await client.send(
                "POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n")
            #expect(try await client.response().body == #"POST {"a":1}"#)
            #expect(try await client.get("/v1/orders").body == "list 0")
        }
    }

    @Test func methodsHaveRoutesOfTheirOwn() async throws {
        try await ServedHTTP.run(Self.routes) { server in
            let client = try server.client()
            for (method, body) in [("DELETE", "deleted 7"), ("PUT", "put 2"), ("PATCH", "patched 2")] {
                try await client.send("\(method) /v1/orders/7 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
                #expect(try await client.response().body == body)
            }
            try await client.send("POST /v1/orders/7 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            let refused = try await client.response()
            #expect(refused.status == 405)
            #expect(refused.header("allow") == "DELETE, PUT, PATCH")
            try await client.send("DELETE /v1/orders HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await client.response().header("allow") == "POST, GET, HEAD")
            try await client.send("POST /v1/none HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            #expect(try await client.response().status == 404)
        }
    }

    @Test func aBodyHasALimit() async throws {
        try await ServedHTTP.run(Self.routes) {
            $0.maxBodyBytes = 10_000
        } _: { server in
            let client = try server.client()
            let most = String(repeating: "x", count: 10_000)
            try await client.send(Self.post(most))
            #expect(try await client.response().body == "POST " + most)
            try await client.send(Self.post(most + "x"))
            #expect(try await client.response().status == 413)
            #expect(try await client.receiveToEnd() == "")
            let chunked = try server.client()
            try await chunked.send(
                "POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "2711\r\n" + most + "x\r\n0\r\n\r\n")
            #expect(try await chunked.response().status == 413)
            #expect(try await chunked.receiveToEnd() == "")
        }
    }

    /// A request whose body arrives slowly holds no share of the concurrent requests.
    @Test func aBodyThatIsNotHereTakesNoShare() async throws {
        try await ServedHTTP.run(Self.routes) {
            $0.maxConcurrentRequests = 1
        } _: { server in
            let slow = try (0..<20).map { _ in try server.client() }
            let request = Self.post("{}")
            for client in slow { try await client.send(String(request.dropLast())) }
            #expect(try await server.get("/v1/orders").status == 200)
            for client in slow {
                try await client.send("}")
                #expect(try await client.response().status == 201)
            }
        }
    }

    /// The bodies look like requests, and arrive after the answers.
    @Test func aBodyThatIsNotWantedIsDropped() async throws {
        try await ServedHTTP.run(Self.routes) { server in
            let client = try server.client()
            try await client.send("POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\nGE")
            #expect(try await client.response().status == 404)
            try await client.send(
                "T /v1" + "DELETE /v1/orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            #expect(try await client.response().status == 405)
            try await client.send("5\r\nGET /\r\n0\r\n\r\n" + Self.post("{}"))
            #expect(try await client.response().body == "POST {}")
        }
    }

    /// Nobody knows whether the client sends the body after the refusal.
    @Test func aRefusalInsteadOf100EndsTheConnection() async throws {
        try await ServedHTTP.run(Self.routes) { server in
            let client = try server.client()
            try await client.send(
                "POST /none HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 50\r\n\r\n")
            let refusal = try await client.response()
            #expect(refusal.status == 404 && refusal.header("connection") == "close")
            #expect(try await client.receiveToEnd() == "")
        }
    }

    /// HTTP/1.0 has no answer 100 (RFC 9110, section 10.1.1).
    @Test func anOldClientExpectsNothing() async throws {
        try await ServedHTTP.run(Self.routes) { server in
            let client = try server.client()
            try await client.send(
                "PUT /v1/orders/7 HTTP/1.0\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            try await client.send("{}")
            #expect(try await client.response().body == "put 2")
        }
    }

    /// The body is too large, but it arrived completely, and so did a part of the next request.
    @Test func aRequestBehindOneThatIsTooLargeIsAnswered() async throws {
        let (began, slow) = (Signal(), Signal())
        let route = HTTPRoute("/slow") { _ in
            began.happen()
            await slow.wait()
            return text("slow")
        }
        try await ServedHTTP.run(Self.routes + [route]) {
            $0.maxBodyBytes = 100
        } _: { server in
            let client = try server.client()
            let (large, next) = (Self.post(String(repeating: "x", count: 101)), Self.post("{}"))
            // These bytes arrive together, so the server has read them before it runs the handler further.
            try await client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + large + next.dropLast(2))
            await began.wait()
            slow.happen()
            #expect(try await client.response().body == "slow")
            #expect(try await client.response().status == 413)
            try await client.send("{}")
            #expect(try await client.response().body == "POST {}")
        }
    }

    /// A request has one answer, even if its body becomes invalid after that.
    @Test func aBodyThatIsNotWantedIsNotAnswered() async throws {
        try await ServedHTTP.run(Self.routes) { server in
            let client = try server.client()
            try await client.send("POST /none HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            #expect(try await client.response().status == 404)
            try await client.send("no size\r\n")
            #expect(try await client.receiveToEnd() == "")
        }
    }
}
