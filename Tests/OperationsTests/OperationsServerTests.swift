import CoreMetrics
import Foundation
import Glibc
import HTTP
import Logging
import Operations
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

@Suite struct OperationsServerTests {
    private let health = HealthRegistry()
    private let metrics = PrometheusMetrics()

    private func server(port: Int = 0, onListening: @escaping @Sendable (Int) -> Void = { _ in }) -> OperationsServer {
        OperationsServer(
            host: "127.0.0.1", port: port, health: health, metrics: metrics, logger: Logger(label: "test"),
            onListening: onListening)
    }

    private func get(_ path: String, port: Int) async throws -> (status: Int, type: String?, body: String) {
        let url = try #require(URL(string: "http://127.0.0.1:\(port)\(path)"))
        let (data, response) = try await URLSession.shared.data(from: url)
        let http = try #require(response as? HTTPURLResponse)
        return (http.statusCode, http.value(forHTTPHeaderField: "Content-Type"), String(decoding: data, as: UTF8.self))
    }

    /// Runs a server while `body` runs.
    private func withServer(_ body: (Int) async throws -> Void) async throws {
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        let server = server { continuation.yield($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            try await body(port)
            group.cancelAll()
        }
    }

    @Test func answersOverHTTP() async throws {
        Counter(label: "hits", factory: metrics).increment(by: 3)
        let loop = health.watch(.loop, "loop", limit: .zero)
        try await withServer { port in
            var answer = try await get("/health/live", port: port)
            #expect(answer.status == 200)
            #expect(answer.type == "application/json")
            let (loops, own) = (
                #"{"name":"loop","kind":"loop","status":"pass"}"#,
                #"{"name":"operations loop","kind":"loop","status":"pass"}"#
            )
            #expect(answer.body == #"{"status":"pass","checks":[\#(loops),\#(own)]}"# + "\n")

            loop.turned(to: .working)
            answer = try await get("/health/live", port: port)
            #expect(answer.status == 503)
            let stalled = #"{"name":"loop","kind":"loop","status":"fail","reason":"no progress for 0 s"}"#
            #expect(answer.body == #"{"status":"fail","checks":[\#(stalled),\#(own)]}"# + "\n")
            loop.turned(to: .idle)

            #expect(try await get("/health/startup", port: port).status == 503)
            health.begun()
            #expect(try await get("/health/startup", port: port).status == 200)

            health.notReady("database", because: "not reached yet")
            answer = try await get("/health/ready", port: port)
            #expect(answer.status == 503)
            let missing = #"{"name":"database","kind":"condition","status":"fail","reason":"not reached yet"}"#
            #expect(answer.body == #"{"status":"fail","checks":[\#(missing)]}"# + "\n")
            health.ready("database")
            #expect(try await get("/health/ready", port: port).status == 200)

            answer = try await get("/metrics", port: port)
            #expect(answer.status == 200)
            #expect(answer.type == "text/plain; version=0.0.4; charset=utf-8")
            #expect(answer.body.contains("# TYPE hits_total counter\nhits_total 3\n"))
            #expect(answer.body.hasSuffix("# TYPE millrace_ready gauge\nmillrace_ready 1\n"))
            #expect(answer.body.contains("\nmillrace_live 1\n"))
            health.notReady("database", because: "gone")
            loop.turned(to: .working)
            answer = try await get("/metrics", port: port)
            #expect(answer.body.contains("\nmillrace_ready 0\n") && answer.body.contains("\nmillrace_live 0\n"))

            #expect(try await get("/", port: port).status == 404)
        }
    }

    @Test func anAddressInUseIsNamed() async throws {
        try await withServer { port in
            let error = await #expect(throws: OperationsServer.BindError.self) { try await server(port: port).run() }
            #expect(error?.description.hasPrefix("cannot listen on 127.0.0.1:\(port): ") == true)
            #expect(error?.description.contains("Address already in use") == true, "\(error?.description ?? "")")
        }
    }
}
