import HTTP
import Logging
import ServiceLifecycle
import Synchronization
import Testing

/// A server under test.
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

    /// Asks over a connection of its own.
    func get(_ target: String, headers: String = "") async throws -> RawClient.Response {
        try await client().get(target, headers: headers)
    }

    /// Serves while `body` runs, and stops then; it must have come to its end well.
    static func run(
        _ routes: [HTTPRoute], _ configure: (inout HTTPServerConfiguration) -> Void = { _ in },
        _ body: (ServedHTTP) async throws -> Void
    ) async throws {
        // A server makes its counters before it listens, so that they must have somewhere to count by then.
        _ = HTTPMetricsTests.metrics
        var configuration = HTTPServerConfiguration()
        configuration.port = 0
        configuration.drainTimeoutMs = 2_000
        // A busy machine must not end what a test has begun. Tests of these limits set their own.
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

/// Something that happens once, and can be waited for by many.
final class Signal: Sendable {
    private struct State {
        var hasHappened = false
        /// A stream for each: one that several wait for ends for all of them when one task is cancelled.
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

    /// Returns when it has happened or the task is cancelled.
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

/// Values noted from anywhere.
final class Notes<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    func add(_ value: Value) { values.withLock { $0.append(value) } }
    var all: [Value] { values.withLock { $0 } }
}

func text(_ text: String, status: Int = 200) -> HTTPResponse {
    HTTPResponse(status: status, headers: [("Content-Type", "text/plain")], body: .bytes(Array(text.utf8)))
}
