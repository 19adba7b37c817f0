import HTTP
import Operations
import TestKit
import Testing

/// Tests the limits of what one client and all clients together may hold of a server, through sockets.
@Suite struct HTTPShareTests {
    private static let ok = HTTPRoute("/ok") { _ in text("ok") }
    private static func request(_ path: String) -> String { "GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n" }

    /// The handler works until `release`. It notes 1 at its beginning and -1 if it was cancelled.
    private static func working(
        _ path: String, as work: HTTPWork, _ notes: Notes<Int>, _ release: Signal
    ) -> HTTPRoute {
        HTTPRoute(path) { request in
            try await request.working(as: work) {
                notes.add(1)
                await release.wait()
                if Task.isCancelled { notes.add(-1) }
            }
            return text("worked")
        }
    }

    @Test(arguments: [HTTPWork.wait, .search])
    func requestsThatTakeLongLeaveRoomForOthers(work: HTTPWork) async throws {
        let (notes, release) = (Notes<Int>(), Signal())
        try await ServedHTTP.run([Self.working("/slow", as: work, notes, release), Self.ok]) {
            $0.maxConcurrentRequests = 2
            $0.maxConcurrentRequestsPerClient = 2
            // A loaded machine may take long until the last request begins, and no request may be cancelled before
            // that.
            $0.requestTimeoutMs = 600_000
        } _: { server in
            var slow: [RawClient] = []
            for count in 1...50 {
                let client = try server.client()
                try await client.send(Self.request("/slow"))
                slow.append(client)
                // Start one request after another, because each holds a request's share until it waits.
                try await eventually { notes.all.count == count }
            }
            #expect(try await server.get("/ok").status == 200)
            release.happen()
            for client in slow { #expect(try await client.response().body == "worked") }
        }
    }

    @Test(arguments: [HTTPWork.wait, .search], [429, 503])
    func tooMuchOfItIsRefused(work: HTTPWork, status: Int) async throws {
        let (notes, release) = (Notes<Int>(), Signal())
        try await ServedHTTP.run([Self.working("/slow", as: work, notes, release), Self.ok]) {
            switch (work, status) {
            case (.wait, 429): $0.maxWaitsPerClient = 2
            case (.wait, _): $0.maxWaits = 2
            case (.search, 429): $0.maxSearchesPerClient = 2
            case (.search, _): $0.maxSearches = 2
            }
            $0.retryAfterSeconds = 4
        } _: { server in
            let slow = [try server.client(), try server.client()]
            for client in slow { try await client.send(Self.request("/slow")) }
            try await eventually { notes.all.count == 2 }
            let refused = try await server.get("/slow")
            #expect(refused.status == status)
            #expect(refused.header("retry-after") == "4")
            #expect(refused.header("content-type") == "application/problem+json")
            #expect(try await server.get("/ok").status == 200)
            release.happen()
            for client in slow { #expect(try await client.response().status == 200) }
            #expect(try await server.get("/slow").status == 200, "a refused request holds no share")
        }
    }

    /// The client either closes the connection or ends only its sending side.
    @Test(arguments: [true, false])
    func aClientThatIsGoneWaitsForNothing(closes: Bool) async throws {
        let (notes, release) = (Notes<Int>(), Signal())
        try await ServedHTTP.run([Self.working("/slow", as: .wait, notes, release)]) {
            $0.maxWaits = 1
            $0.requestTimeoutMs = 600_000
        } _: { server in
            var gone: RawClient? = try server.client()
            try await gone?.send(Self.request("/slow"))
            try await eventually { notes.all == [1] }
            #expect(try await server.get("/slow").status == 503)
            if closes { gone = nil } else { gone?.endInput() }
            try await eventually { notes.all == [1, -1] }
            let next = try server.client()
            try await next.send(Self.request("/slow"))
            try await eventually { notes.all == [1, -1, 1] }
            if let gone { #expect(try await gone.receiveToEnd() == "") }
            release.happen()
            #expect(try await next.response().status == 200)
        }
    }

    @Test func aClientThatEndsItsSideGetsTheAnswerThatNeedsNoWait() async throws {
        try await ServedHTTP.run([Self.ok]) { server in
            let client = try server.client()
            try await client.send(Self.request("/ok"))
            client.endInput()
            #expect(try await client.response().body == "ok")
        }
    }

    @Test func connectionsOfOneClientHaveALimit() async throws {
        try await ServedHTTP.run([Self.ok]) {
            $0.maxConnectionsPerClient = 3
        } _: { server in
            var clients: [RawClient] = []
            for _ in 0..<3 {
                let client = try server.client()
                #expect(try await client.get("/ok").status == 200)
                clients.append(client)
            }
            let refused = try await server.get("/ok")
            #expect(refused.status == 429)
            #expect(refused.header("retry-after") == "1")
            #expect(refused.header("content-type") == "application/problem+json")
            #expect(refused.header("connection") == "close")
            // Beyond a second limit the server closes connections without a response, which costs nothing.
            var silent = 0
            for client in try (0..<40).map({ _ in try server.client() }) {
                // The server may have reset a connection that it closed immediately.
                let answer = try? await client.receiveToEnd()
                if answer?.hasPrefix("HTTP/1.1 429 ") != true { silent += 1 }
            }
            #expect(silent >= 1)
            #expect(try await clients[0].get("/ok").status == 200)
            clients = []
            try await eventually { (try? await server.get("/ok").status) == 200 }
        }
    }

    @Test func refusalsAreCounted() async throws {
        let (notes, release) = (Notes<Int>(), Signal())
        try await ServedHTTP.run([Self.working("/slow", as: .wait, notes, release)]) {
            $0.name = "refusing"
            $0.maxWaitsPerClient = 1
        } _: { server in
            let client = try server.client()
            try await client.send(Self.request("/slow"))
            try await eventually { notes.all.count == 1 }
            #expect(try await server.get("/slow").status == 429)
            let text = HTTPMetricsTests.metrics.exposition()
            #expect(
                text.contains(#"millrace_http_refused_total{limit="wait",of="client",server="refusing"} 1"#), "\(text)")
            #expect(text.contains(#"millrace_http_refused_total{limit="wait",of="server",server="refusing"} 0"#))
            #expect(text.contains(#"millrace_http_waits{server="refusing"} 1"#))
            release.happen()
            #expect(try await client.response().status == 200)
            try await eventually {
                HTTPMetricsTests.metrics.exposition().contains(#"millrace_http_waits{server="refusing"} 0"#)
            }
        }
    }
}
