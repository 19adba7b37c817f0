import Glibc
import HTTP
import TestKit
import Testing

/// Tests limits of counts and times, and the graceful stop.
@Suite struct HTTPLimitTests {
    /// The handler waits for `release`.
    private static func holding(_ began: Notes<Int>, _ release: Signal) -> HTTPRoute {
        HTTPRoute("/hold") { _ in
            began.add(1)
            await release.wait()
            if Task.isCancelled { began.add(-1) }
            return text("held")
        }
    }

    private static let ok = HTTPRoute("/ok") { _ in text("ok") }
    private static let request = "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"

    @Test(arguments: [429, 503])
    func tooManyRequestsAtOnceAreRefused(status: Int) async throws {
        let (began, release) = (Notes<Int>(), Signal())
        try await ServedHTTP.run([Self.holding(began, release), Self.ok]) {
            if status == 429 { $0.maxConcurrentRequestsPerClient = 2 } else { $0.maxConcurrentRequests = 2 }
            $0.retryAfterSeconds = 3
        } _: { server in
            let held = [try server.client(), try server.client()]
            for client in held { try await client.send(Self.request) }
            try await eventually { began.all.count == 2 }
            let client = try server.client()
            let refused = try await client.get("/ok")
            #expect(refused.status == status)
            #expect(refused.header("retry-after") == "3")
            #expect(refused.header("content-type") == "application/problem+json")
            release.happen()
            for client in held { #expect(try await client.response().body == "held") }
            try await eventually { try await client.get("/ok").status == 200 }
        }
    }

    @Test(arguments: [429, 503])
    func tooManyStreamsAreRefused(status: Int) async throws {
        let began = Notes<Int>()
        let stream = HTTPRoute("/stream", isStream: true) { _ in
            HTTPResponse(
                body: .stream { _ in
                    began.add(1)
                    await Signal().wait()
                })
        }
        try await ServedHTTP.run([stream, Self.ok]) {
            if status == 429 { $0.maxStreamsPerClient = 1 } else { $0.maxStreams = 1 }
        } _: { server in
            var first: RawClient? = try server.client()
            try await first?.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            try await eventually { began.all.count == 1 }
            let refused = try await server.get("/stream")
            #expect(refused.status == status)
            #expect(refused.header("retry-after") == "1")
            // Streams do not count as requests.
            #expect(try await server.get("/ok").status == 200)
            first = nil
            try await eventually {
                let client = try server.client()
                try await client.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
                return try await client.receive(through: "\r\n").contains(" 200 ")
            }
            #expect(first == nil)
        }
    }

    @Test func connectionsBeyondTheLimitWait() async throws {
        try await ServedHTTP.run([Self.ok]) {
            $0.maxConnections = 4
        } _: { server in
            var clients: [RawClient] = []
            for _ in 0..<4 {
                let client = try server.client()
                #expect(try await client.get("/ok").status == 200)
                clients.append(client)
            }
            let beyond = try (0..<8).map { _ in try server.client() }
            for client in beyond { try await client.send("GET /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") }
            #expect(try await clients[0].get("/ok").status == 200)
            clients = []
            for client in beyond { #expect(try await client.response().status == 200) }
        }
    }

    // MARK: time

    /// Returns a client that has already received a response. With short timeouts a busy machine may need several
    /// attempts.
    private static func servedClient(of server: ServedHTTP) async throws -> RawClient {
        var served: RawClient?
        try await eventually {
            let client = try server.client()
            guard let response = try? await client.get("/ok"), response.status == 200 else { return false }
            served = client
            return true
        }
        return try #require(served)
    }

    @Test(arguments: [
        "GET /ok HTTP/1.1\r\nHos", "GET /ok HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf", "G",
    ])
    func aRequestThatDoesNotArriveInTimeIsRefused(bytes: String) async throws {
        try await ServedHTTP.run([Self.ok]) {
            $0.receiveTimeoutMs = 100
        } _: { server in
            let client = try await Self.servedClient(of: server)
            try await client.send(bytes)
            let response = try await client.response()
            #expect(response.status == 408)
            #expect(response.header("connection") == "close")
            #expect(try await client.receiveToEnd() == "")
        }
    }

    /// Single bytes do not extend the deadline.
    @Test func aRequestThatTricklesInIsRefused() async throws {
        try await ServedHTTP.run([Self.ok]) {
            $0.receiveTimeoutMs = 200
        } _: { server in
            let client = try server.client()
            try await client.send("GET /ok HTTP/1.1\r\n")
            try await eventually {
                _ = client.sendNow("a")
                client.receiveNow()
                return !client.received.isEmpty
            }
            #expect(try await client.response().status == 408)
        }
    }

    @Test func idleConnectionsAreClosed() async throws {
        try await ServedHTTP.run([Self.ok]) {
            $0.idleTimeoutMs = 100
        } _: { server in
            let (fresh, used) = (try server.client(), try await Self.servedClient(of: server))
            #expect(try await fresh.receiveToEnd() == "")
            #expect(try await used.receiveToEnd() == "")
        }
    }

    @Test func aHandlerThatTakesTooLongIsCancelled() async throws {
        let (began, release) = (Notes<Int>(), Signal())
        try await ServedHTTP.run([Self.holding(began, release), Self.ok]) {
            $0.requestTimeoutMs = 100
        } _: { server in
            let client = try server.client()
            try await client.send(Self.request)
            let response = try await client.response()
            #expect(response.status == 503)
            #expect(response.header("retry-after") == "1")
            #expect(began.all == [1, -1])
            // On a busy machine a request may exceed the timeout although its handler is fast.
            try await eventually { try await client.get("/ok").body == "ok" }
        }
    }

    // MARK: stopping

    @Test func aStopEndsWhatIsIdleAndWaitsForTheRest() async throws {
        let (began, release) = (Notes<Int>(), Signal())
        try await ServedHTTP.run([Self.holding(began, release), Self.ok]) {
            $0.drainTimeoutMs = 60_000
        } _: { server in
            let (idle, busy) = (try server.client(), try server.client())
            #expect(try await idle.get("/ok").status == 200)
            try await busy.send(Self.request)
            try await eventually { began.all.count == 1 }
            await server.stop()
            #expect(try await idle.receiveToEnd() == "")
            #expect(throws: RawClient.Failure.self) { try server.client() }
            release.happen()
            let response = try await busy.response()
            #expect(response.body == "held")
            #expect(response.header("connection") == "close")
            #expect(try await busy.receiveToEnd() == "")
        }
    }

    @Test func aStopLetsStreamsSayGoodbye() async throws {
        let began = Notes<Int>()
        let stream = HTTPRoute("/stream", isStream: true) { _ in
            HTTPResponse(
                body: .stream { writer in
                    began.add(1)
                    await Signal().wait()
                    try await writer.write(Array("goodbye".utf8))
                })
        }
        try await ServedHTTP.run([stream]) {
            $0.drainTimeoutMs = 60_000
        } _: { server in
            let client = try server.client()
            try await client.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            try await client.receive(through: "\r\n\r\n")
            try await eventually { began.all.count == 1 }
            await server.stop()
            #expect(try await client.chunk() == "goodbye")
            #expect(try await client.chunk() == nil)
            #expect(try await client.receiveToEnd() == "")
        }
    }

    /// The handler was running when the stop began.
    @Test func aStreamThatBeginsWhileTheServerStopsSaysGoodbye() async throws {
        let (began, release) = (Notes<Int>(), Signal())
        let stream = HTTPRoute("/stream", isStream: true) { _ in
            began.add(1)
            await release.wait()
            return HTTPResponse(
                body: .stream { writer in
                    await Signal().wait()
                    try await writer.write(Array("goodbye".utf8))
                })
        }
        try await ServedHTTP.run([stream]) {
            $0.drainTimeoutMs = 600_000
        } _: { server in
            let client = try server.client()
            try await client.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            try await eventually { began.all.count == 1 }
            await server.stop()
            try await eventually { (try? server.client()) == nil }
            release.happen()
            try await client.receive(through: "\r\n\r\n")
            #expect(try await client.chunk() == "goodbye")
            #expect(try await client.chunk() == nil)
            #expect(try await client.receiveToEnd() == "")
        }
    }

    /// The kernel accepts some connections after the server has stopped accepting.
    @Test func connectionsThatComeWhileTheServerStopsAreEnded() async throws {
        for _ in 0..<40 {
            try await ServedHTTP.run([Self.ok]) { server in
                let clients = (0..<20).compactMap { _ in try? server.client() }
                async let stopped: Void = server.stop()
                let late = (0..<200).compactMap { _ in try? server.client() }
                await stopped
                for client in clients + late { _ = try await client.receiveToEnd() }
            }
        }
    }

    /// The handler continues although its connection was closed. Its thread must not end before it.
    @Test func aStopWaitsForHandlersWithoutConnections() async throws {
        let (began, release, ended) = (Signal(), Signal(), Signal())
        let stubborn = HTTPRoute("/stubborn") { _ in
            began.happen()
            // A detached task is not cancelled with the request.
            await Task.detached { await release.wait() }.value
            ended.happen()
            return text("too late")
        }
        try await ServedHTTP.run([stubborn]) {
            $0.drainTimeoutMs = 1
        } _: { server in
            let client = try server.client()
            try await client.send("GET /stubborn HTTP/1.1\r\nHost: x\r\n\r\n")
            await began.wait()
            await server.stop()
            #expect(try await client.receiveToEnd() == "")
            Task {
                try await eventually { (try? server.client()) == nil }
                release.happen()
            }
        }
        #expect(ended.hasHappened)
    }

    @Test func aStopDoesNotWaitForEver() async throws {
        let (began, release) = (Notes<Int>(), Signal())
        let stream = HTTPRoute("/stream", isStream: true) { _ in
            HTTPResponse(
                body: .stream { writer in
                    began.add(1)
                    while true { try await writer.write([UInt8](repeating: 0, count: 100_000)) }
                })
        }
        try await ServedHTTP.run([Self.holding(began, release), stream]) {
            $0.drainTimeoutMs = 200
        } _: { server in
            let (held, slow) = (try server.client(), try server.client(receiveBuffer: 4_096))
            try await held.send(Self.request)
            try await slow.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            try await eventually { began.all.count == 2 }
            await server.stop()
            #expect(try await held.receiveToEnd() == "")
            _ = try await slow.receiveToEnd()
        }
    }

    // MARK: many

    /// Runs in a process of its own, so that no other test adds to its memory.
    @Test func thousandsOfIdleConnectionsAreHeld() async throws {
        try await #require(processExitsWith: .success) {
            // Both ends of each connection belong to this process.
            let count = min(10_000, (FileLimit.raised() - 1_500) / 2)
            try #require(count >= 200, "the process may open too few files")
            try await ServedHTTP.run([HTTPRoute("/ok") { _ in text("ok") }]) {
                $0.threads = 2
                $0.maxConnectionsPerClient = 12_000
            } _: { server in
                _ = try await server.get("/ok")
                let before = try residentBytes()
                let clients = try (0..<count).map { _ in try server.client() }
                // Serve the last connection of the queue, and one of every hundred.
                for client in clients.indices where client % 100 == 99 {
                    #expect(try await clients[client].get("/ok").status == 200)
                }
                let each = (try residentBytes() - before) / count
                #expect(each < 16_384, "\(count) connections cost \(each) bytes each, both ends together")
                #expect(try await server.get("/ok").status == 200)
            }
        }
    }
}

enum FileLimit {
    /// Raises the soft limit to the hard limit.
    ///
    /// - Returns: the number of files that the process may open.
    static func raised() -> Int {
        var limit = rlimit()
        // SAFETY: the calls only use the value while they run.
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        limit.rlim_cur = limit.rlim_max
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        _ = unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: limit.rlim_cur)
    }
}
