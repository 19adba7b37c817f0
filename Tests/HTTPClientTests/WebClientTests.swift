import EndpointKit
import Foundation
import HTTPClient
import TestKit
import Testing

/// Tests the client against servers that answer as a test says.
@Suite struct WebClientTests {
    private static let longMs = 600_000

    /// Sends a request to an endpoint that answers it, and closes both.
    private static func send(
        _ answer: ScriptedEndpoint.Answer, _ method: OutgoingRequest.Method = .post,
        headers: [(name: String, value: String)] = [], body: [UInt8] = [], timeoutMs: Int = longMs,
        maxBodyBytes: Int? = 1_000, then check: (ScriptedEndpoint) async throws -> Void = { _ in }
    ) async throws -> IncomingAnswer {
        let endpoint = try ScriptedEndpoint([answer])
        defer { endpoint.stop() }
        let request = OutgoingRequest(
            method, endpoint.url, headers: headers, body: body, timeoutMs: timeoutMs, maxBodyBytes: maxBodyBytes)
        return try await withClient { client in
            let answer = try await client.send(request)
            try await check(endpoint)
            return answer
        }
    }

    private static func withClient<Result>(
        _ configuration: WebClient.Configuration = .init(), _ body: (WebClient) async throws -> Result
    ) async throws -> Result {
        let client = WebClient(configuration)
        let result: Swift.Result<Result, any Error>
        do { result = .success(try await body(client)) } catch { result = .failure(error) }
        await client.close()
        return try result.get()
    }

    private static func get(_ url: String, timeoutMs: Int = longMs) -> OutgoingRequest {
        OutgoingRequest(.get, url, timeoutMs: timeoutMs, maxBodyBytes: 1_000)
    }

    private static func expectReason(_ error: ExchangeError?) {
        guard case .failed(let reason)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(!reason.isEmpty && reason != "No error")
    }

    // MARK: requests

    @Test func aRequestHasNoHeadersButItsOwn() async throws {
        let headers = [("Content-Type", "application/json"), ("X-Empty", ""), ("Authorization", "Bearer é")]
        _ = try await Self.send(.status(200), headers: headers, body: Array("{}".utf8)) { endpoint in
            let request = try #require(endpoint.requests.first)
            let lines = request.head.split(separator: "\r\n").map(String.init)
            #expect(lines.first == "POST /hook HTTP/1.1")
            #expect(
                Set(lines.dropFirst()) == [
                    "Host: 127.0.0.1:\(endpoint.port)", "Content-Type: application/json", "X-Empty:",
                    "Authorization: Bearer é", "Content-Length: 2",
                ])
            #expect(request.body == Array("{}".utf8))
        }
    }

    @Test(arguments: [OutgoingRequest.Method.get, .delete, .post])
    func aRequestMayHaveNoBody(method: OutgoingRequest.Method) async throws {
        let answer = try await Self.send(.status(204), method) { endpoint in
            let request = try #require(endpoint.requests.first)
            #expect(request.head.hasPrefix("\(method.rawValue) /hook HTTP/1.1\r\n"))
            #expect(request.header("content-length") == (method == .get ? nil : "0"))
        }
        #expect(answer.status == 204)
    }

    /// A client that expects `100 Continue` would wait for it.
    @Test func aLargeBodyIsSentAtOnce() async throws {
        let body = [UInt8](repeating: 7, count: 3_000_000)
        _ = try await Self.send(.status(200), body: body) { endpoint in
            #expect(endpoint.requests.first?.header("expect") == nil)
            #expect(endpoint.requests.first?.body == body)
        }
    }

    @Test(arguments: [("X", "a\r\nY: b"), ("X", "a\nb"), ("X", "a\0b"), ("X: y\r\nZ", "a"), ("", "a"), ("X Y", "a")])
    func aHeaderCannotContainAnother(name: String, value: String) async throws {
        await #expect(throws: ExchangeError.failed("the header '\(name)' has characters that HTTP does not allow")) {
            try await Self.send(.status(200), headers: [(name, value)])
        }
    }

    @Test(arguments: ["file:///etc/hostname", "ftp://127.0.0.1/x", "http://", "nonsense://x", "http://a b/"])
    func onlyURLsOfHTTPCanBeUsed(url: String) async throws {
        try await Self.withClient { client in
            let error = await #expect(throws: ExchangeError.self) { try await client.send(Self.get(url)) }
            Self.expectReason(error)
        }
    }

    // MARK: answers

    @Test func anAnswerHasItsStatusHeadersAndBody() async throws {
        let text = "HTTP/1.1 201 Created\r\nLocation: /a:b\r\nX-Two: 1\r\nx-two: 2\r\nContent-Length: 5\r\n\r\nhello"
        let answer = try await Self.send(.text(text))
        #expect(answer.status == 201)
        #expect(answer.header("location") == "/a:b")
        #expect(answer.header("X-TWO") == "1")
        #expect(answer.header("x-three") == nil)
        #expect(answer.body == Array("hello".utf8))
    }

    @Test func onlyTheFinalAnswerCounts() async throws {
        let text =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: early\r\n\r\n"
            + "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: trailer\r\n\r\n"
        let answer = try await Self.send(.text(text))
        #expect(answer.status == 200)
        #expect(answer.header("X") == nil)
        #expect(answer.body == Array("abc".utf8))
    }

    /// Nobody asked for another protocol.
    @Test(arguments: [true, false])
    func switchingProtocolsIsAFinalAnswer(closes: Bool) async throws {
        let text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
        let answer = try await Self.send(.text(text, closes: closes), maxBodyBytes: nil)
        #expect(answer.status == 101)
    }

    @Test func aBodyHasALimit() async throws {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"
        #expect(try await Self.send(.text(text), maxBodyBytes: 10).body?.count == 10)
        let answer = try await Self.send(.text(text), maxBodyBytes: 9)
        #expect(answer.status == 200)
        #expect(answer.body == nil)
    }

    /// The server would send its body without end.
    @Test(arguments: [nil, 100_000])
    func aBodyThatIsNotWantedIsNotRead(limit: Int?) async throws {
        let answer = try await Self.send(.endlessBody(503, headers: "Retry-After: 7\r\n"), maxBodyBytes: limit) {
            endpoint in
            try await eventually { endpoint.brokenOff == 1 }
        }
        #expect(answer.status == 503)
        #expect(answer.header("Retry-After") == "7")
        #expect(answer.body == nil)
    }

    @Test func theStatusCountsIfTheBodyBreaksOff() async throws {
        let answer = try await Self.send(.text("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n012"))
        #expect(answer.status == 200)
        #expect(answer.body == nil)
    }

    @Test(arguments: ["", "HTTP/1.1 200 OK\r\nX: 1\r\n", "220 smtp.example.com\r\n", "HTTP/9.9 200 OK\r\n\r\n"])
    func whatIsNoAnswerIsAnError(text: String) async throws {
        let error = await #expect(throws: ExchangeError.self) { _ = try await Self.send(.text(text)) }
        Self.expectReason(error)
    }

    @Test func anEndlessHeadIsBrokenOff() async throws {
        await #expect(throws: ExchangeError.failed("the answer's head is larger than 262144 bytes")) {
            try await Self.send(.endlessHead)
        }
    }

    @Test func aRedirectIsNotFollowed() async throws {
        let other = try ScriptedEndpoint([.status(200)])
        defer { other.stop() }
        let answer = try await Self.send(.status(302, headers: "Location: \(other.url)\r\n"), .get)
        #expect(answer.status == 302)
        #expect(answer.header("location") == other.url)
        #expect(other.connections == 0)
    }

    // MARK: ends

    @Test(arguments: [
        ScriptedEndpoint.Answer.silence, .text("HTTP/1.1 200 OK\r\n", closes: false),
        .text("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n012", closes: false),
    ])
    func anExchangeEndsWithinItsTimeout(answer: ScriptedEndpoint.Answer) async throws {
        await #expect(throws: ExchangeError.timedOut) { try await Self.send(answer, timeoutMs: 100) }
    }

    /// The text has no times: an exporter logs an error when its text changes.
    @Test func aServerThatIsAwayIsAnErrorWithItsCause() async throws {
        // Nobody listens, and nobody else gets the port.
        let bound = try BoundPort()
        try await Self.withClient { client in
            for _ in 0..<3 {
                await #expect(throws: ExchangeError.failed("Couldn't connect to server: Connection refused")) {
                    try await client.send(Self.get("http://127.0.0.1:\(bound.port)/"))
                }
            }
        }
        withExtendedLifetime(bound) {}
    }

    @Test func aCancellationEndsTheExchange() async throws {
        let endpoint = try ScriptedEndpoint([.silence])
        defer { endpoint.stop() }
        try await Self.withClient { client in
            let task = Task { try await client.send(Self.get(endpoint.url)) }
            try await eventually { endpoint.requests.count == 1 }
            task.cancel()
            await #expect(throws: ExchangeError.cancelled) { try await task.value }
            let late = Task {
                unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                return try await client.send(Self.get(endpoint.url))
            }
            await #expect(throws: ExchangeError.cancelled) { try await late.value }
            #expect(endpoint.requests.count == 1, "a task that is cancelled sends nothing")
        }
    }

    @Test func aCloseEndsTheExchanges() async throws {
        let endpoint = try ScriptedEndpoint([.silence])
        defer { endpoint.stop() }
        let client = WebClient()
        let tasks = (0..<3).map { _ in Task { try await client.send(Self.get(endpoint.url)) } }
        try await eventually { endpoint.requests.count == 3 }
        await client.close()
        for task in tasks { await #expect(throws: ExchangeError.cancelled) { try await task.value } }
        await #expect(throws: ExchangeError.cancelled) { try await client.send(Self.get(endpoint.url)) }
        await client.close()
    }

    // MARK: connections

    @Test func aConnectionIsUsedAgain() async throws {
        let endpoint = try ScriptedEndpoint([.kept(200)])
        defer { endpoint.stop() }
        try await Self.withClient { client in
            for _ in 0..<5 {
                let answer = try await client.send(Self.get(endpoint.url))
                #expect(answer.status == 200)
            }
        }
        #expect(endpoint.requests.count == 5)
        #expect(endpoint.connections == 1)
    }

    /// The server says that it keeps the connection, and closes it.
    @Test func aConnectionThatTheServerClosedIsReplaced() async throws {
        let endpoint = try ScriptedEndpoint([.text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")])
        defer { endpoint.stop() }
        try await Self.withClient { client in
            for _ in 0..<5 {
                let answer = try await client.send(Self.get(endpoint.url))
                #expect(answer.status == 200)
            }
        }
        #expect(endpoint.requests.count == 5)
    }

    @Test func exchangesRunAtTheSameTime() async throws {
        let endpoint = try ScriptedEndpoint([.silence])
        defer { endpoint.stop() }
        let client = WebClient()
        let tasks = (0..<20).map { _ in Task { try await client.send(Self.get(endpoint.url)) } }
        try await eventually { endpoint.requests.count == 20 }
        await client.close()
        for task in tasks { _ = await task.result }
        #expect(endpoint.connections == 20)
    }

    /// Only one client of a process can be counted, so this test runs in its own.
    @Test func theThreadEndsWithTheClient() async {
        await #expect(processExitsWith: .success) {
            func threads() throws -> Int {
                try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count { task in
                    let name = try? String(contentsOfFile: "/proc/self/task/\(task)/comm", encoding: .utf8)
                    return name == "http-client\n"
                }
            }
            var client: WebClient? = WebClient()
            try await eventually { try threads() == 1 }
            #expect(client != nil)
            client = nil
            try await eventually { try threads() == 0 }
        }
    }

    /// The environment belongs to the process, so this test runs in its own.
    @Test func proxiesOfTheEnvironmentAreNotUsed() async {
        await #expect(processExitsWith: .success) {
            for name in ["http_proxy", "all_proxy", "ALL_PROXY"] { unsafe setenv(name, "http://127.0.0.1:1", 1) }
            for name in ["no_proxy", "NO_PROXY"] { unsafe unsetenv(name) }
            let endpoint = try ScriptedEndpoint([.status(200)])
            let client = WebClient()
            let request = OutgoingRequest(.get, endpoint.url, timeoutMs: 600_000, maxBodyBytes: nil)
            let answer = try await client.send(request)
            #expect(answer.status == 200)
        }
    }
}
