import HTTP
import Logging
import ServiceLifecycle
import Synchronization
import Testing

struct ServedHTTP {
    let port: Int
    private let group: ServiceGroup

    /// Begins a graceful stop.
    func stop() async {
        await group.triggerGracefulShutdown()
    }

    func client(receiveBuffer: Int32? = nil) throws -> RawClient {
        try RawClient(port: port, receiveBuffer: receiveBuffer)
    }

    /// Sends a request on a new connection.
    func get(_ target: String, headers: String = "") async throws -> RawClient.Response {
        try await client().get(target, headers: headers)
    }

    /// Runs a server while `body` runs, and then stops it. The server must end without an error.
    static func run(
        _ routes: [HTTPRoute], _ configure: (inout HTTPServerConfiguration) -> Void = { _ in },
        _ body: (ServedHTTP) async throws -> Void
    ) async throws {
        try await run(HTTPRoutes(routes), configure, body)
    }

    static func run(
        _ routes: HTTPRoutes, _ configure: (inout HTTPServerConfiguration) -> Void = { _ in },
        _ body: (ServedHTTP) async throws -> Void
    ) async throws {
        // A server creates its counters before it listens, so the metrics backend must exist before that.
        _ = HTTPMetricsTests.metrics
        var configuration = HTTPServerConfiguration()
        configuration.port = 0
        configuration.drainTimeoutMs = 2_000
        // A busy machine must not end the requests of a test. Tests of these limits set their own values.
        configuration.receiveTimeoutMs = 120_000
        configuration.requestTimeoutMs = 120_000
        configuration.writeTimeoutMs = 120_000
        configuration.allowedHosts = ["test", "x", "elsewhere"]
        configure(&configuration)
        let (ports, listening) = AsyncStream.makeStream(of: Int.self)
        let logger = Logger(label: "http") { _ in SwiftLogNoOpLogHandler() }
        let server = HTTPServer(configuration: configuration, routes: routes, logger: logger) { listening.yield($0) }
        let group = ServiceGroup(services: [server], logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { listening.finish() }
                try await group.run()
            }
            var iterator = ports.makeAsyncIterator()
            if let port = await iterator.next() {
                try await body(ServedHTTP(port: port, group: group))
                await group.triggerGracefulShutdown()
            }
            try await tasks.waitForAll()
        }
    }
}

/// An event that happens once. Several tasks can wait for it.
final class Signal: Sendable {
    private struct State {
        var hasHappened = false
        /// Each waiting task has its own stream. If several tasks waited for one stream, the cancellation of one task
        /// would end it for all of them.
        var waiting: [AsyncStream<Void>.Continuation] = []
    }

    private let state = Mutex(State())

    var hasHappened: Bool { state.withLock { $0.hasHappened } }

    func happen() {
        let waiting = state.withLock { state in
            state.hasHappened = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.finish() }
    }

    /// Returns when the event has happened or the task is cancelled.
    func wait() async {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        let hasHappened = state.withLock { state in
            if !state.hasHappened { state.waiting.append(continuation) }
            return state.hasHappened
        }
        if hasHappened { continuation.finish() }
        for await _ in stream {}
    }
}

/// Values that any task can append.
final class Notes<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    func add(_ value: Value) { values.withLock { $0.append(value) } }
    var all: [Value] { values.withLock { $0 } }
}

func text(_ text: String, status: Int = 200) -> HTTPResponse {
    HTTPResponse(status: status, headers: [("Content-Type", "text/plain")], body: .bytes(Array(text.utf8)))
}
