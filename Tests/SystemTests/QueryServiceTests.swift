import EmbeddedPostgres
import Foundation
import FoundationNetworking
import Glibc
import Migrations
import Postgres
import Synchronization
import TestKit
import Testing

/// Runs the query service as a process on a read model that the other daemons update.
@Suite struct QueryServiceTests {
    /// Runs a test with a service on a schema that has all required tables.
    private static func with(
        _ settings: [String: String] = [:], _ body: (Pipeline, RunningService) async throws -> Void
    ) async throws {
        try await Pipeline.with { pipeline in
            let service = try await RunningService(pipeline.queryService(settings), serving: "queries")
            try await body(pipeline, service)
            try await service.process.stop()
        }
    }

    @Test func answersWhatTheProjectionsKeep() async throws {
        try await Self.with { pipeline, service in
            let daemons = try [pipeline.relay(), pipeline.projection(), pipeline.dashboard()]
            try await pipeline.play(orders: 60)
            try await pipeline.expectEverythingArrives()
            let list = try await service.get("/v1/orders?limit=7&total=true")
            #expect(list.status == 200 && list.body.hasSuffix(#","total":60}"#), "\(list.body.suffix(100))")
            let id = try #require(list.body.firstMatch(of: #/"orderId":"([^"]*)"/#).map { String($0.1) })
            let order = try await service.get("/v1/orders/\(id)")
            #expect(order.status == 200 && order.body.contains(#""freshness":"read-model""#))
            let tag = try #require(order.header("ETag"))
            #expect(try await service.get("/v1/orders/\(id)", headers: ["If-None-Match": tag]).status == 304)
            // The links lead through all pages.
            var (link, seen) = (list.header("Link"), 7)
            while let next = link?.firstMatch(of: #/<([^>]*)>/#).map({ String($0.1) }) {
                let page = try await service.get(next)
                seen += page.body.matches(of: #/"orderId":/#).count
                link = page.header("Link")
            }
            #expect(seen == 60)
            try await eventually {
                let freshness = try await service.get("/v1/freshness").body
                return freshness.matches(of: #/"lagRecords":0/#).count == 2 && freshness.contains(#""state":"live""#)
            }
            // The outbox and the topics are read at different times, so one may be known to be empty before the other.
            var dashboard = try await service.get("/v1/dashboard?window=1h")
            try await eventually {
                dashboard = try await service.get("/v1/dashboard?window=1h")
                return dashboard.body.contains(#""backlog":0"#)
            }
            #expect(dashboard.status == 200 && dashboard.body.contains(#""window":"1h","resolution":"minute""#))
            let created = dashboard.body.components(separatedBy: "\"totals\":").last?
                .matches(of: #/"ordersCreated":([0-9]+)/#).compactMap { Int($0.1) }.reduce(0, +)
            #expect(created == 60)
            for daemon in daemons { try await daemon.stop() }
        }
    }

    @Test func refusesBadInput() async throws {
        try await Self.with { _, service in
            let sql = "%27%20OR%201%3D1%3B%20DROP%20TABLE%20order_summary_rows%3B--"
            let parameters = [
                "customer", "status", "min_amount", "max_amount", "from", "to", "sort", "limit", "cursor", "total", "x",
            ]
            var bad = parameters.dropFirst().map { "/v1/orders?\($0)=\(sql)" }
            bad += [
                "/v1/orders?limit=201", "/v1/orders?limit=1&limit=1", "/v1/orders?customer=a%00b", "/v1/orders/%00",
                "/v1/orders/\(String(repeating: "x", count: 400))", "/v1/orders/%FF", "/v1/orders/x?min_version=-1",
                "/v1/dashboard?window=2h", "/v1/dashboard/stream?window=", "/v1/customers/%0A/summary",
                "/v1/customers/x/orders?customer=y", "/v1/freshness?now=1",
            ]
            for target in bad {
                let answer = try await service.get(target)
                #expect(answer.status == 400, "\(target): \(answer.body)")
                #expect(answer.header("Content-Type") == "application/problem+json", "\(target)")
                #expect(answer.header("X-As-Of") != nil)
            }
            #expect(try await service.get("/v1/orders?customer=\(sql)").body == #"{"orders":[],"next":null}"#)
            let unknown = try await service.get("/v1/orders/\(sql)")
            #expect(unknown.status == 404 && unknown.body.contains("/problems/unknown-order"))
            let behind = try await service.get("/v1/orders/x?min_version=3", headers: ["Prefer": "wait=1"])
            #expect(behind.status == 503 && behind.header("Retry-After") != nil)
            #expect(behind.body.contains(#""currentVersion":null,"requestedVersion":3"#), "\(behind.body)")
            #expect(try await service.get("/nothing").header("Content-Type") == "application/problem+json")
        }
    }

    @Test func streamsWhatChangesAndSaysGoodbye() async throws {
        try await Pipeline.with { pipeline in
            let service = try await RunningService(
                pipeline.queryService(["queries.update_interval_ms": "50"]), serving: "queries")
            let stream = try EventStream(port: service.port, path: "/v1/dashboard/stream?window=1h")
            try await eventually { stream.output.contains("event: snapshot") }
            try await pipeline.execute(
                """
                INSERT INTO projections (name, version, consumer_group) VALUES ('dashboard', 1, 'g');
                INSERT INTO projection_offsets SELECT id, 'order-events', 0, 1 FROM projections;
                INSERT INTO dashboard_status_rows VALUES ('paid', 0, 77);
                """)
            try await eventually {
                stream.output.contains("event: update") && stream.output.contains(#"{"status":"paid","orders":77}"#)
            }
            let ids = stream.output.matches(of: #/id: (.*)-([0-9]+)\n/#)
            #expect(Set(ids.map { $0.1 }).count == 1)
            let numbers = ids.compactMap { Int($0.2) }
            #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 + 1 == $1 }, "\(numbers)")
            service.process.signal(SIGTERM)
            try await eventually { stream.isAtEnd }
            #expect(try await service.process.exitCode() == 0)
            #expect(stream.output.hasSuffix("event: goodbye\nretry: 1000\ndata: {\"reason\":\"shutdown\"}\n\n"))
        }
    }

    @Test func servesThePageAndItsDescription() async throws {
        try await Self.with { _, service in
            let page = try await service.get("/")
            #expect(page.status == 200 && page.header("Content-Type") == "text/html; charset=utf-8")
            let tag = try #require(page.header("ETag"))
            #expect(try await service.get("/", headers: ["If-None-Match": tag]).status == 304)
            // The service serves all files that the page loads.
            let sources = page.body.matches(of: #/(?:src|href)="(assets/[^"]+|\/assets/[^"]+)"/#).map { String($0.1) }
            #expect(!sources.isEmpty)
            for source in sources where !source.contains("chart.js") {
                #expect(try await service.get(source.hasPrefix("/") ? source : "/\(source)").status == 200, "\(source)")
            }
            let description = try await service.get("/openapi.json").body
            let json = try JSONSerialization.jsonObject(with: Data(description.utf8)) as? [String: Any]
            #expect(json?["openapi"] as? String == "3.1.0")
        }
    }

    @Test func wantsATokenBeyondThisMachine() async throws {
        try await Pipeline.with { pipeline in
            let open = try pipeline.queryService(["http.host": "0.0.0.0"])
            #expect(try await open.exitCode() == 78)
            #expect(open.errors.contains("http.host"))
            let file = NSTemporaryDirectory() + "millrace-tokens-" + UUID().uuidString
            try "correct-horse-battery-staple\n".write(toFile: file, atomically: true, encoding: .utf8)
            defer { try? FileManager.default.removeItem(atPath: file) }
            let service = try await RunningService(
                pipeline.queryService(["http.host": "0.0.0.0", "http.token_files": file]), serving: "queries")
            #expect(try await service.get("/v1/freshness").status == 401)
            #expect(try await service.get("/").status == 200, "the page is public, but the data is not")
            let token = ["Authorization": "Bearer correct-horse-battery-staple"]
            #expect(try await service.get("/v1/freshness", headers: token).status == 200)
            try await service.process.stop()
        }
    }

    /// The database stops and restarts. The service reports this and keeps running.
    @Test func outlivesItsDatabase() async throws {
        try await TestDatabase.withPrivateServer { server, postgres in
            try await Migrator(postgres).up(["projections", "order-summary", "dashboard"])
            let kafka = try TestKafka.clientConfiguration()
            let pipeline = Pipeline(postgres: postgres, kafka: kafka, topicSuffix: "-none")
            let service = try await RunningService(pipeline.queryService(), serving: "queries")
            #expect(try await service.get("/v1/orders").status == 200)
            await server.stop(.immediate, keepingData: true)
            for path in ["/v1/orders/x", "/v1/orders", "/v1/dashboard", "/v1/dashboard/stream"] {
                try await eventually {
                    let answer = try await service.get(path)
                    return answer.status == 503 && answer.header("Retry-After") != nil
                        && answer.header("Content-Type") == "application/problem+json"
                }
            }
            #expect(try await service.get("/v1/freshness").status == 200)
            try await server.start()
            for path in ["/v1/orders", "/v1/dashboard"] {
                try await eventually { try await service.get(path).status == 200 }
            }
            try await service.process.stop()
        }
    }
}

/// A client that reads a response until its end.
final class EventStream: Sendable {
    private struct State {
        var received = ""
        var isAtEnd = false
    }

    /// The connection cannot be opened.
    struct Failure: Error {
        let code: Int32
    }

    private let state = Mutex(State())

    init(port: Int, path: String) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        // SAFETY: a sockaddr_in is passed as the sockaddr that it is, with its size.
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw Failure(code: errno) }
        // HTTP/1.0 has no chunked encoding, so the client reads exactly the bytes that were written.
        let request = Array("GET \(path) HTTP/1.0\r\nHost: localhost\r\n\r\n".utf8)
        guard unsafe write(descriptor, request, request.count) == request.count else { throw Failure(code: errno) }
        Thread.detachNewThread { [self] in
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while case let count = unsafe read(descriptor, &buffer, buffer.count), count > 0 {
                state.withLock { $0.received += String(decoding: buffer[..<count], as: UTF8.self) }
            }
            close(descriptor)
            state.withLock { $0.isAtEnd = true }
        }
    }

    /// Everything that was received, including the head of the response.
    var output: String { state.withLock { $0.received } }
    var isAtEnd: Bool { state.withLock { $0.isAtEnd } }
}
