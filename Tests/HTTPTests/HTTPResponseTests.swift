import HTTP
import Synchronization
import TestKit
import Testing

/// Tests headers, problems, the order of responses, and streams.
@Suite struct HTTPResponseTests {
    struct Unexpected: Error {}

    private static let routes = [
        HTTPRoute("/ok") { _ in text("ok") },
        HTTPRoute("/own") { _ in
            HTTPResponse(headers: [("x-as-of", "own"), ("X-Bad", "a\r\nSet-Cookie: b=c\u{7f}")], body: .bytes([]))
        },
        HTTPRoute("/unmodified") { _ in HTTPResponse(status: 304, headers: [("ETag", "\"1\"")]) },
        HTTPRoute("/problem") { _ in
            throw Problem(
                status: 503, type: "/problems/read-model-behind", title: "The read model is behind",
                detail: "a \"quoted\"\n\u{1}\\ detail",
                members: [("current", Array("3".utf8)), ("requested", Array("4".utf8))], headers: [("Retry-After", "2")]
            )
        },
        HTTPRoute("/failure") { _ in throw Unexpected() },
        HTTPRoute("/large") { _ in text(String(repeating: "0123456789", count: 100_000)) },
    ]

    @Test func everyResponseHasTheSecurityAndCommonHeaders() async throws {
        try await ServedHTTP.run(Self.routes) {
            $0.commonHeaders = { [("X-As-Of", "2026-01-01T00:00:00Z")] }
        } _: { server in
            let client = try server.client()
            for target in ["/ok", "/unmodified", "/problem", "/failure", "/nothing", "/%"] {
                let response = try await client.get(target)
                #expect(response.header("x-as-of") == "2026-01-01T00:00:00Z", "\(target)")
                #expect(response.header("content-security-policy")?.hasPrefix("default-src 'none'; ") == true)
                #expect(response.header("x-content-type-options") == "nosniff")
                #expect(response.header("referrer-policy") == "no-referrer")
                #expect(response.header("date")?.hasSuffix(" GMT") == true)
            }
            try await client.send("NONSENSE\r\n\r\n")
            let refusal = try await client.response()
            #expect(refusal.status == 400)
            #expect(refusal.header("x-as-of") == "2026-01-01T00:00:00Z")
        }
    }

    @Test func aResponseKeepsItsOwnHeadersAndEndsNone() async throws {
        try await ServedHTTP.run(Self.routes) {
            $0.commonHeaders = { [("X-As-Of", "common")] }
        } _: { server in
            let response = try await server.get("/own")
            #expect(response.headers.filter { $0.name == "x-as-of" }.map(\.value) == ["own"])
            #expect(response.header("x-bad") == "a  Set-Cookie: b=c")
            #expect(response.header("set-cookie") == nil)
        }
    }

    @Test func aNotModifiedResponseHasNoBody() async throws {
        try await ServedHTTP.run(Self.routes) { server in
            let client = try server.client()
            let response = try await client.get("/unmodified")
            #expect(response.status == 304)
            #expect(response.header("content-length") == nil)
            #expect(try await client.get("/ok").body == "ok")
        }
    }

    @Test func problemsAreTold() async throws {
        try await ServedHTTP.run(Self.routes) { server in
            let response = try await server.get("/problem")
            #expect(response.status == 503)
            #expect(response.header("content-type") == "application/problem+json")
            #expect(response.header("retry-after") == "2")
            #expect(
                response.body
                    == #"{"type":"/problems/read-model-behind","title":"The read model is behind","status":503,"#
                    + #""detail":"a \"quoted\"\n\u0001\\ detail","current":3,"requested":4}"#)
        }
    }

    @Test func whatNobodyExpectedTellsNothing() async throws {
        try await ServedHTTP.run(Self.routes) { server in
            let response = try await server.get("/failure")
            #expect(response.status == 500)
            #expect(response.body == #"{"type":"about:blank","title":"Internal Server Error","status":500}"#)
        }
    }

    private static func slow(until release: Signal) -> HTTPRoute {
        HTTPRoute("/slow") { _ in
            await release.wait()
            return text("slow")
        }
    }

    @Test func pipelinedRequestsAreAnsweredInTheirOrder() async throws {
        let slow = Signal()
        try await ServedHTTP.run(Self.routes + [Self.slow(until: slow)]) { server in
            let client = try server.client()
            let paths = ["/slow", "/ok", "/none", "/large", "/ok"]
            try await client.send(paths.map { "GET \($0) HTTP/1.1\r\nHost: x\r\n\r\n" }.joined() + "NONSENSE\r\n\r\n")
            client.receiveNow()
            #expect(client.received.isEmpty)
            slow.happen()
            #expect(try await client.response().body == "slow")
            #expect(try await client.response().body == "ok")
            #expect(try await client.response().status == 404)
            #expect(try await client.response().body.utf8.count == 1_000_000)
            #expect(try await client.response().body == "ok")
            #expect(try await client.response().status == 400)
            #expect(try await client.receiveToEnd() == "")
        }
    }

    /// The nonsense does not fit into the buffers of the sockets, so the server has read most of it.
    @Test func nonsenseDoesNotCutTheAnswerBeforeIt() async throws {
        let slow = Signal()
        try await ServedHTTP.run([Self.slow(until: slow)]) { server in
            let client = try server.client()
            let nonsense = String(repeating: "NONSENSE\r\n\r\n", count: 2_000_000)
            try await client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + nonsense)
            client.receiveNow()
            #expect(client.received.isEmpty)
            slow.happen()
            #expect(try await client.response().body == "slow")
            #expect(try await client.response().status == 400)
            #expect(try await client.receiveToEnd() == "")
        }
    }

    /// The parser takes the bytes behind such a request for another protocol. They must not be collected.
    @Test func whatFollowsAnUpgradeIsNotKept() async throws {
        let slow = Signal()
        try await ServedHTTP.run([Self.slow(until: slow)]) { server in
            let client = try server.client()
            try await client.send("GET /slow HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n")
            try await client.send(String(repeating: "x", count: 1_000_000))
            slow.happen()
            let response = try await client.response()
            #expect(response.body == "slow" && response.header("connection") == "close")
            #expect(try await client.receiveToEnd() == "")
            let connect = try server.client()
            try await connect.send("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n")
            let refusal = try await connect.response()
            #expect(refusal.status >= 400 && refusal.header("connection") == "close")
            #expect(try await connect.receiveToEnd() == "")
        }
    }

    /// The client sends many more requests than the server reads ahead. The server stops reading, and continues while
    /// it answers.
    @Test func aLongPipelineIsAnsweredToItsEnd() async throws {
        try await ServedHTTP.run(Self.routes) { server in
            let client = try server.client()
            let count = 5_000
            try await client.send(String(repeating: "GET /ok HTTP/1.1\r\nHost: x\r\n\r\n", count: count))
            for _ in 0..<count { #expect(try await client.response().body == "ok") }
        }
    }

    @Test(arguments: [
        "GET /ok HTTP/1.0\r\n\r\n", "GET /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        // The bytes after the request belong to another protocol, which this server does not support.
        "GET /ok HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /ok HTTP/1.1\r\nHost: x\r\n\r\n",
    ])
    func aConnectionEndsWhenTheClientWantsIt(request: String) async throws {
        try await ServedHTTP.run(Self.routes) { server in
            let client = try server.client()
            try await client.send(request)
            let response = try await client.response()
            #expect(response.body == "ok")
            #expect(response.header("connection") == "close")
            #expect(try await client.receiveToEnd() == "")
        }
    }

    @Test func aClientThatEndsItsSideStillGetsItsAnswer() async throws {
        let slow = Signal()
        try await ServedHTTP.run([
            HTTPRoute("/slow") { _ in
                await slow.wait()
                return text(String(repeating: "x", count: 3_000_000))
            }
        ]) { server in
            let client = try server.client()
            try await client.send(String(repeating: "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", count: 3))
            client.endInput()
            slow.happen()
            for _ in 0..<3 { #expect(try await client.response().body.utf8.count == 3_000_000) }
            #expect(try await client.receiveToEnd() == "")
        }
    }

    // MARK: streams

    @Test func aStreamIsWrittenPieceByPiece() async throws {
        let next = Signal()
        let routes = [
            HTTPRoute("/stream", isStream: true) { _ in
                HTTPResponse(
                    headers: [("Content-Type", "text/event-stream")],
                    body: .stream { writer in
                        try await writer.write(Array("first".utf8))
                        await next.wait()
                        try await writer.write([])
                        try await writer.write(HTTPChunk(Array("second".utf8)))
                    })
            }
        ]
        try await ServedHTTP.run(routes + Self.routes) { server in
            let client = try server.client()
            try await client.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            let head = try await client.receive(through: "\r\n\r\n")
            #expect(head.lowercased().contains("transfer-encoding: chunked\r\n"))
            #expect(try await client.chunk() == "first")
            next.happen()
            #expect(try await client.chunk() == "second")
            #expect(try await client.chunk() == nil)
            #expect(try await client.get("/ok").body == "ok")

            try await client.send("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await client.response(hasBody: false).header("content-type") == "text/event-stream")
            // HTTP/1.0 has no chunked encoding.
            try await client.send("GET /stream HTTP/1.0\r\n\r\n")
            #expect(try await client.receiveToEnd().hasSuffix("\r\n\r\nfirstsecond"))
        }
    }

    @Test func aStreamThatFailsIsSeenToBeCut() async throws {
        let routes = [
            HTTPRoute("/stream") { _ in
                HTTPResponse(
                    body: .stream { writer in
                        try await writer.write(Array("first".utf8))
                        throw Unexpected()
                    })
            }
        ]
        try await ServedHTTP.run(routes) { server in
            let client = try server.client()
            try await client.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await client.receiveToEnd().hasSuffix("5\r\nfirst\r\n"))
        }
    }

    @Test func aStreamEndsWithItsClient() async throws {
        let (began, cancelled) = (Signal(), Signal())
        let outcome = Notes<String>()
        let routes = [
            HTTPRoute("/stream", isStream: true) { _ in
                HTTPResponse(
                    body: .stream { writer in
                        began.happen()
                        await Signal().wait()
                        do {
                            try await writer.write(Array("more".utf8))
                        } catch {
                            outcome.add("\(error)")
                        }
                        cancelled.happen()
                    })
            }
        ]
        try await ServedHTTP.run(routes) { server in
            var client: RawClient? = try server.client()
            try await client?.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            await began.wait()
            client = nil
            await cancelled.wait()
            #expect(outcome.all == ["clientGone"])
        }
    }

    @Test func aClientThatDoesNotReadIsCutOff() async throws {
        let (written, error) = (Notes<Int>(), Notes<String>())
        let routes = [
            HTTPRoute("/stream", isStream: true) { _ in
                HTTPResponse(
                    body: .stream { writer in
                        let chunk = HTTPChunk([UInt8](repeating: 0x78, count: 100_000))
                        do {
                            while written.all.count < 10_000 {
                                try await writer.write(chunk)
                                written.add(100_000)
                            }
                        } catch let failure {
                            error.add("\(failure)")
                        }
                    })
            },
            HTTPRoute("/large") { _ in text(String(repeating: "x", count: 20_000_000)) },
        ]
        try await ServedHTTP.run(routes) {
            $0.writeTimeoutMs = 300
        } _: { server in
            let (stream, large) = (try server.client(receiveBuffer: 4_096), try server.client(receiveBuffer: 4_096))
            try await stream.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            try await large.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            try await eventually { !error.all.isEmpty }
            #expect(["timedOut", "clientGone"].contains(error.all[0]), "\(error.all)")
            // The amount that the kernel buffered plus one watermark, which is much less than the handler would write.
            #expect(written.all.reduce(0, +) < 30_000_000)
            for client in [stream, large] { try await eventually { client.sendNow("x") == nil } }
        }
    }
}
