import Blocking
import Foundation
import Glibc

/// Sends requests to an HTTP server over persistent connections, on one thread that uses as little of the machine as
/// possible. The requests are created in advance, and only the status and the length of a response are read.
final class LoadClient: @unchecked Sendable {
    // SAFETY: only the thread that `run` starts uses the properties. Others read them after the thread has ended.

    struct Outcome: Sendable {
        var requests = 0
        var seconds = 0.0
        /// The time from the moment that a request was due.
        var latencies = Latencies()
        /// The number of responses by status, except 2xx.
        var refusals: [Int: Int] = [:]

        var perSecond: Double { Double(requests) / seconds }
    }

    private struct Connection {
        let descriptor: Int32
        var received: [UInt8] = []
        /// The time at which the pending request was due; nil between requests.
        var due: ContinuousClock.Instant?
    }

    private let requests: [[UInt8]]
    private var connections: [Connection] = []
    private var idle: [Int] = []
    private var waiting: [pollfd] = []
    private var random = SystemRandomNumberGenerator()
    private var outcome = Outcome()
    private var measuresFrom = ContinuousClock.now
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    /// - Parameter requests: each request that is sent is one of these.
    init(port: Int, connections count: Int, requests: [[UInt8]]) throws {
        self.requests = requests
        for index in 0..<count {
            let descriptor = try ClientSocket.connect(port: port)
            connections.append(Connection(descriptor: descriptor))
            idle.append(index)
            waiting.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
        }
    }

    deinit {
        for connection in connections { close(connection.descriptor) }
    }

    /// Sends requests during `warmUp` and then during `measured`.
    ///
    /// - Parameter rate: requests a second, each at its own time of the schedule; nil to send the next request after
    ///   each answer.
    func run(warmUp: Duration, measured: Duration, rate: Double? = nil) async throws -> Outcome {
        try await withCheckedThrowingContinuation { continuation in
            let thread = Thread {
                continuation.resume(with: Result { try self.loop(warmUp, measured, rate) })
            }
            thread.name = "load"
            thread.start()
        }
    }

    private func loop(_ warmUp: Duration, _ measured: Duration, _ rate: Double?) throws -> Outcome {
        outcome = Outcome()
        let start = ContinuousClock.now
        measuresFrom = start + warmUp
        let end = measuresFrom + measured
        var sent = 0
        while true {
            let now = ContinuousClock.now
            if now >= end { break }
            if let rate {
                while !idle.isEmpty {
                    let due = start + .nanoseconds(Int64(Double(sent) / rate * 1e9))
                    guard due <= now else { break }
                    try send(due: due)
                    sent += 1
                }
                let next = start + .nanoseconds(Int64(Double(sent) / rate * 1e9))
                try receive(waiting: idle.isEmpty ? .milliseconds(100) : max(next - now, .zero))
            } else {
                while !idle.isEmpty { try send(due: .now) }
                try receive(waiting: .milliseconds(100))
            }
        }
        outcome.seconds = measured / .seconds(1)
        // The pending responses must not be counted as answers of the next run.
        while idle.count < connections.count { try receive(waiting: .milliseconds(100)) }
        return outcome
    }

    private func send(due: ContinuousClock.Instant) throws {
        guard let index = idle.popLast() else { return }
        let request = requests[Int.random(in: 0..<requests.count, using: &random)]
        connections[index].due = due
        // SAFETY: the kernel copies the bytes; a request fits the socket's buffer.
        let count = unsafe Glibc.send(connections[index].descriptor, request, request.count, Int32(MSG_NOSIGNAL))
        guard count == request.count else { throw BenchError("send: \(errno)") }
    }

    /// Waits for responses. The wait is rounded up to whole milliseconds.
    private func receive(waiting limit: Duration) throws {
        let milliseconds = Int32((limit / .milliseconds(1)).rounded(.up))
        // SAFETY: the kernel writes the events of as many entries as the array has.
        let count = unsafe poll(&waiting, nfds_t(waiting.count), milliseconds)
        guard count >= 0 || errno == EINTR else { throw BenchError("poll: \(errno)") }
        for index in waiting.indices where count > 0 && waiting[index].revents != 0 { try take(index) }
    }

    private func take(_ index: Int) throws {
        // SAFETY: the kernel writes at most as many bytes as the array has.
        let count = unsafe recv(connections[index].descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { throw BenchError("the server closed a connection: \(count) \(errno)") }
        connections[index].received += buffer[..<count]
        guard let response = ResponseHead(connections[index].received),
            connections[index].received.count >= response.length
        else { return }
        connections[index].received.removeAll(keepingCapacity: true)
        idle.append(index)
        guard let due = connections[index].due else { throw BenchError("a response without a request") }
        connections[index].due = nil
        let now = ContinuousClock.now
        guard due >= measuresFrom else { return }
        if response.status / 100 != 2 { outcome.refusals[response.status, default: 0] += 1 }
        outcome.requests += 1
        outcome.latencies.record(now - due)
    }
}

/// The part of a response that a client needs to find its end.
struct ResponseHead {
    let status: Int
    /// The length of head and body, in bytes.
    let length: Int

    /// Nil if the head is not complete.
    init?(_ bytes: [UInt8]) {
        guard bytes.count > 12, let end = Self.end(of: bytes) else { return nil }
        status = bytes[9..<12].reduce(0) { $0 * 10 + Int($1) - 0x30 }
        length = end + (Self.contentLength(bytes[..<end]) ?? 0)
    }

    private static func end(of bytes: [UInt8]) -> Int? {
        var index = 3
        while index < bytes.count {
            switch bytes[index] {
            case 0x0a where bytes[index - 2] == 0x0a: return index + 1
            case 0x0a, 0x0d: index += 1
            default: index += 2
            }
        }
        return nil
    }

    private static let name = Array("\r\nContent-Length: ".utf8)

    private static func contentLength(_ head: ArraySlice<UInt8>) -> Int? {
        var index = head.startIndex
        while let lineEnd = head[index...].firstIndex(of: 0x0d) {
            if head[lineEnd...].starts(with: name) {
                return head[(lineEnd + name.count)...].prefix { $0 != 0x0d }.reduce(0) { $0 * 10 + Int($1) - 0x30 }
            }
            index = lineEnd + 1
        }
        return nil
    }
}

/// Sockets to this machine.
enum ClientSocket {
    /// A blocking connection to a port of the loopback interface.
    static func connect(port: Int) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        // SAFETY: the kernel copies the address.
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe Glibc.connect(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard descriptor >= 0, result == 0 else { throw BenchError("cannot connect to port \(port): \(errno)") }
        var on: Int32 = 1
        // SAFETY: the kernel copies the value.
        unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        return descriptor
    }

    /// A port at which nothing listens at the moment.
    static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        // SAFETY: the kernel reads the address, and then writes one of the same size.
        let isBound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe bind(descriptor, generic, length) == 0 && getsockname(descriptor, generic, &length) == 0
            }
        }
        guard isBound else { throw BenchError("there is no free port: \(errno)") }
        return Int(in_port_t(bigEndian: address.sin_port))
    }
}

/// A request for a path of the query service.
func request(_ target: String, headers: String = "") -> [UInt8] {
    Array("GET \(target) HTTP/1.1\r\nHost: 127.0.0.1\r\n\(headers)\r\n".utf8)
}

/// One connection for occasional requests, on its own thread.
actor RequestClient {
    struct Response: Sendable {
        let status: Int
        let body: String
        let instant: ContinuousClock.Instant
    }

    private let descriptor: Int32
    private let executor = ThreadExecutor(name: "request")
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    init(port: Int) throws {
        descriptor = try ClientSocket.connect(port: port)
    }

    deinit {
        close(descriptor)
    }

    func get(_ target: String, headers: String = "") throws -> Response {
        try send(request(target, headers: headers))
    }

    /// Sends a complete request, and waits for its response.
    func send(_ bytes: [UInt8]) throws -> Response {
        // SAFETY: the kernel copies the bytes; a request fits the socket's buffer.
        guard unsafe Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw BenchError("send: \(errno)")
        }
        var received: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            // SAFETY: the kernel writes at most as many bytes as the array has.
            let count = unsafe recv(descriptor, &piece, piece.count, 0)
            guard count > 0 else { throw BenchError("the server closed the connection: \(count) \(errno)") }
            received += piece[..<count]
            guard let head = ResponseHead(received), received.count >= head.length else { continue }
            return Response(status: head.status, body: String(decoding: received, as: UTF8.self), instant: .now)
        }
    }
}
