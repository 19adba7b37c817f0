import Foundation
import Logging
import Operations
import ServiceLifecycle
import TestKit
import Testing

@testable import HTTP

/// A service without tokens accepts only requests for its own host names.
@Suite struct HostPolicyTests {
    @Test(arguments: [
        "localhost", "LOCALHOST:8080", "localhost.", "shop.localhost", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:80",
        "[::ffff:127.0.0.1]", "10.0.0.5:8080", "10.0.0.6", "orders.example.org:443", "Orders.Example.ORG.",
        "a.shop.example.org", "192.0.2.9",
    ])
    func ownNamesAreAccepted(_ host: String) {
        let policy = HostPolicy(bound: "10.0.0.5", allowed: ["orders.example.org", ".shop.example.org", "192.0.2.9"])
        #expect(policy.verdict(on: host, local: "::ffff:10.0.0.6") == .accepted)
    }

    @Test(arguments: [
        "evil.example", "localhost.evil.example", "evillocalhost", "10.0.0.7", "shop.example.org",
        "evilshop.example.org", "127.0.0.1.evil.example", "[::2]:80", "a.orders.example.org", "2130706433", "0x7f.1",
    ])
    func othersAreNot(_ host: String) {
        let policy = HostPolicy(bound: "0.0.0.0", allowed: ["orders.example.org", ".shop.example.org"])
        #expect(policy.verdict(on: host, local: "10.0.0.5") == .misdirected)
    }

    @Test(arguments: [
        "", ":80", "a b", "localhost:x", "localhost:80:80", "::1", "[::1", "[localhost]", "lo/cal", "ä", ".",
    ])
    func whatIsNoHostIsTold(_ host: String) {
        #expect(HostPolicy(bound: "127.0.0.1", allowed: []).verdict(on: host, local: nil) == .malformed)
    }

    @Test func aNameThatIsListenedOnIsOurs() {
        let policy = HostPolicy(bound: "orders.internal", allowed: [])
        #expect(policy.verdict(on: "orders.internal:8080", local: nil) == .accepted)
        #expect(!HostPolicy.isHost("http://a") && !HostPolicy.isHost("a:80") && !HostPolicy.isHost(""))
        #expect(HostPolicy.isHost("a.b") && HostPolicy.isHost(".b") && HostPolicy.isHost("::1"))
    }

    // MARK: through a socket

    private static let routes = [
        HTTPRoute("/ok") { _ in text("ok") }, HTTPRoute("/", isPublic: true) { _ in text("page") },
    ]

    private func status(_ client: RawClient, _ host: String, target: String = "/ok") async throws -> Int {
        try await client.send("GET \(target) HTTP/1.1\r\nHost: \(host)\r\n\r\n")
        return try await client.response().status
    }

    @Test func requestsForOtherServicesAreRefused() async throws {
        try await ServedHTTP.run(Self.routes) {
            $0.allowedHosts = ["orders.example.org"]
        } _: { server in
            let client = try server.client()
            for host in ["127.0.0.1:\(server.port)", "localhost", "orders.example.org"] {
                #expect(try await status(client, host) == 200, "\(host)")
            }
            #expect(try await status(client, "evil.example:\(server.port)") == 421)
            #expect(try await status(client, "evil.example", target: "/") == 421, "public pages are refused too")
            #expect(try await status(client, "a/b") == 400)
            #expect(try await status(client, "localhost", target: "http://evil.example/ok") == 421)
            #expect(try await status(client, "evil.example", target: "http://localhost:80/ok") == 200)
            try await client.send("GET /ok HTTP/1.1\r\nHost: evil.example\r\n\r\n")
            let refused = try await client.response()
            #expect(refused.header("content-type") == "application/problem+json")
            #expect(refused.body.contains(#""title":"Misdirected Request","status":421"#), "\(refused.body)")
            #expect(try await status(client, "localhost") == 200, "the connection stays open")
        }
    }

    /// A page of another site has no token.
    @Test func tokensProtectWhateverTheNameIs() async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "millrace-\(UUID().uuidString)").path
        try Data("a-token-of-tokens\n".utf8).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let tokens = try TokenSource(files: [path])
        try await ServedHTTP.run(Self.routes) {
            $0.tokens = tokens
        } _: { server in
            let client = try server.client()
            try await client.send(
                "GET /ok HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer a-token-of-tokens\r\n\r\n")
            #expect(try await client.response().status == 200)
            #expect(try await status(client, "evil.example") == 401)
        }
    }

    @Test func healthAndMetricsAreProtectedOnLoopback() async throws {
        let (ports, listening) = AsyncStream.makeStream(of: Int.self)
        let server = OperationsServer(
            host: "127.0.0.1", port: 0, health: HealthRegistry(), metrics: PrometheusMetrics(),
            logger: Logger(label: "test")
        ) { listening.yield($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            let client = try RawClient(port: port)
            #expect(try await status(client, "localhost:\(port)", target: "/health/live") == 200)
            #expect(try await status(client, "evil.example", target: "/metrics") == 421)
            group.cancelAll()
        }
    }
}
