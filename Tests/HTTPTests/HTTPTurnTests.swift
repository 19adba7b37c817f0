import Dispatch
import Foundation
import HTTP
import Operations
import Synchronization
import TestKit
import Testing

/// Tests what the health report says about a server's threads while handlers block or do not end.
@Suite struct HTTPTurnTests {
    private let health = HealthRegistry()

    /// Runs a server whose threads are watched. Each request has a timeout of half a second.
    private func serve(_ routes: [HTTPRoute], _ body: (ServedHTTP) async throws -> Void) async throws {
        let threads = (0..<2).map { health.watch(.loop, "http loop \($0)", limit: .seconds(3)) }
        for thread in threads { thread.turned(to: .working) }
        try await ServedHTTP.run(routes) {
            $0.threads = 2
            $0.requestTimeoutMs = 500
            $0.onTurn = { threads[$0].progressed() }
        } _: { server in
            try await body(server)
        }
    }

    /// Blocks the thread, but no longer than the test may take.
    private static func block(until isOver: DispatchSemaphore) {
        _ = isOver.wait(timeout: .now() + .seconds(120))
    }

    /// The server looks at the token files periodically and reports each look.
    @Test func theLookAtTokensIsTold() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "millrace-tokens-\(UUID().uuidString)")
        try Data("first-token-of-many".utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let looks = Looks()
        let tokens = try TokenSource(files: [file.path])
        try await ServedHTTP.run([]) {
            $0.tokens = tokens
            $0.onTokensRead = { looks.add() }
        } _: { _ in
            try await eventually { looks.count >= 2 }
        }
    }

    private final class Looks: Sendable {
        private let number = Mutex(0)
        var count: Int { number.withLock { $0 } }
        func add() { number.withLock { $0 += 1 } }
    }

    @Test func aHandlerThatBlocksItsThread() async throws {
        let (isOver, hasBegun) = (DispatchSemaphore(value: 0), Signal())
        defer { isOver.signal() }
        let blocking = HTTPRoute("/block") { _ in
            hasBegun.happen()
            Self.block(until: isOver)
            return text("at last")
        }
        try await serve([blocking]) { server in
            let client = try server.client()
            try await client.send("GET /block HTTP/1.1\r\nHost: x\r\n\r\n")
            await hasBegun.wait()
            // The other thread still makes progress.
            try await eventually { health.live().problems.count == 1 }
            isOver.signal()
            try await eventually { health.live().isGood }
        }
    }

    /// The client, and perhaps later clients, would wait forever.
    @Test(arguments: [true, false]) func aHandlerThatDoesNotEnd(clientStays: Bool) async throws {
        let (release, hasBegun) = (Signal(), Signal())
        let endless = HTTPRoute("/endless") { _ in
            hasBegun.happen()
            // A detached task is not cancelled with the request.
            await Task.detached { await release.wait() }.value
            return text("too late")
        }
        try await serve([endless]) { server in
            var client: RawClient? = try server.client()
            try await client?.send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            await hasBegun.wait()
            if !clientStays { client = nil }
            try await eventually { !health.live().isGood }
            release.happen()
            try await eventually { health.live().isGood }
            if let client { #expect(try await client.response().status == 503) }
        }
    }

    /// A stream has no time limit until its client has closed the connection.
    @Test func aStreamThatDoesNotEnd() async throws {
        let (release, hasBegun) = (Signal(), Signal())
        let endless = HTTPRoute("/endless", isStream: true) { _ in
            HTTPResponse(
                body: .stream { _ in
                    hasBegun.happen()
                    await Task.detached { await release.wait() }.value
                })
        }
        try await serve([endless]) { server in
            var client: RawClient? = try server.client()
            try await client?.send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            await hasBegun.wait()
            #expect(health.live().isGood)
            client = nil
            try await eventually { !health.live().isGood }
            release.happen()
            try await eventually { health.live().isGood }
        }
    }

    /// Requests that exceed the timeout and end when they are cancelled are not a problem of the threads.
    @Test func handlersThatEndWhenCancelled() async throws {
        let slow = HTTPRoute("/slow") { _ in
            await Signal().wait()
            throw CancellationError()
        }
        try await serve([slow]) { server in
            for _ in 0..<10 {
                let answer = try await server.get("/slow")
                #expect(answer.status == 503)
            }
            #expect(health.live().isGood, "\(health.live().problems)")
        }
    }
}
