import Foundation
import Glibc
import Synchronization

/// An HTTP server on 127.0.0.1 that gives the answers of a test. It uses one thread for each connection.
public final class ScriptedEndpoint: Sendable {
    public struct Request: Sendable {
        /// The request line and the headers.
        public let head: String
        public let body: [UInt8]

        /// The value of the first header with this name, which is in lower case.
        public func header(_ name: String) -> String? {
            for line in head.split(separator: "\r\n").dropFirst() {
                let parts = line.split(separator: ":", maxSplits: 1)
                guard parts.count == 2, parts[0].lowercased() == name else { continue }
                return String(parts[1].drop { $0 == " " })
            }
            return nil
        }
    }

    /// The answer to a connection after its request is read.
    public enum Answer: Sendable {
        /// A status with headers and a short body.
        case status(Int, headers: String = "")
        /// A status, headers, and a body that does not end while the client reads it.
        case endlessBody(Int, headers: String = "")
        /// An answer that leaves the connection open for the next request.
        case kept(Int)
        /// This text, as it is. Then the server closes the connection, or waits until the client does.
        case text(String, closes: Bool = true)
        /// Headers without an end.
        case endlessHead
        /// The server sends nothing and the connection stays open.
        case silence
        /// The server closes the connection without an answer.
        case hangUp
    }

    private struct State {
        var requests: [Request] = []
        var answers: [Answer]
        var connections = 0
        var bytesSent = 0
        var brokenOff = 0
        var isOpen = true
    }

    public let port: Int
    private let listener: Int32
    private let state: Mutex<State>

    public var url: String { "http://127.0.0.1:\(port)/hook" }
    public var requests: [Request] { state.withLock(\.requests) }
    /// Number of accepted connections.
    public var connections: Int { state.withLock(\.connections) }
    /// Number of bytes that were sent in bodies and heads without an end.
    public var bytesSent: Int { state.withLock(\.bytesSent) }
    /// Number of endless answers that the client aborted.
    public var brokenOff: Int { state.withLock(\.brokenOff) }

    /// - Parameter answers: one answer for each request. The last one answers all later requests.
    public init(_ answers: [Answer]) throws {
        state = Mutex(State(answers: answers))
        (listener, port) = try BoundPort.bindSocket()
        guard listen(listener, 16) == 0 else { throw BoundPort.error }
        Thread.detachNewThread { [self] in accept() }
    }

    /// Accepts no more connections. Open connections end soon.
    public func stop() {
        state.withLock { $0.isOpen = false }
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private func accept() {
        while state.withLock(\.isOpen) {
            let connection = Glibc.accept(listener, nil, nil)
            if connection < 0 { break }
            state.withLock { $0.connections += 1 }
            Thread.detachNewThread { [self] in
                while serve(connection) {}
                close(connection)
            }
        }
        close(listener)
    }

    /// - Returns: whether the connection is open for another request.
    private func serve(_ connection: Int32) -> Bool {
        guard let request = Self.read(connection) else { return false }
        let answer = state.withLock { state in
            state.requests.append(request)
            return state.answers.count > 1 ? state.answers.removeFirst() : state.answers[0]
        }
        switch answer {
        case .status(let status, let headers):
            _ = Self.write(
                "HTTP/1.1 \(status) -\r\n\(headers)Content-Length: 2\r\nConnection: close\r\n\r\nok", connection)
        case .endlessBody(let status, let headers):
            _ = Self.write("HTTP/1.1 \(status) -\r\n\(headers)\r\n", connection)
            pour(String(repeating: "x", count: 4_096), connection)
        case .endlessHead:
            _ = Self.write("HTTP/1.1 200 OK\r\n", connection)
            pour("x-filler: " + String(repeating: "x", count: 1_000) + "\r\n", connection)
        case .kept(let status):
            return Self.write("HTTP/1.1 \(status) -\r\nContent-Length: 2\r\n\r\nok", connection)
        case .text(let text, let closes):
            if Self.write(text, connection), !closes { Self.waitForClose(connection) }
        case .silence: Self.waitForClose(connection)
        case .hangUp: break
        }
        return false
    }

    private static func waitForClose(_ connection: Int32) {
        var byte: UInt8 = 0
        while unsafe recv(connection, &byte, 1, 0) > 0 {}
    }

    private func pour(_ text: String, _ connection: Int32) {
        while state.withLock(\.isOpen), Self.write(text, connection) {
            state.withLock { $0.bytesSent += text.utf8.count }
        }
        state.withLock { $0.brokenOff += 1 }
    }

    private static func write(_ text: String, _ connection: Int32) -> Bool {
        let bytes = Array(text.utf8)
        let sent = unsafe send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        return sent == bytes.count
    }

    private static func read(_ connection: Int32) -> Request? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = unsafe recv(connection, &buffer, buffer.count, 0)
            if count <= 0 { return nil }
            bytes += buffer[..<count]
            guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { continue }
            let head = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
            let length = Request(head: head, body: []).header("content-length").flatMap { Int($0) } ?? 0
            if bytes.count - end.upperBound >= length {
                return Request(head: head, body: Array(bytes[end.upperBound...]))
            }
        }
    }
}
