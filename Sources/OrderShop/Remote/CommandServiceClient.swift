internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import StreamCore

/// A request that asks command-service for a command.
struct RemoteCommand: Hashable, Sendable {
    enum Method: String, Sendable {
        case post = "POST"
        case delete = "DELETE"
    }

    var method = Method.post
    /// Below the service's address, from `/v1` on; parts that ids make are escaped.
    let path: String
    /// JSON; empty for none.
    var body: [UInt8] = []
    /// The idempotency key: with it the request is sent again without harm.
    let key: String
}

/// Sends commands to a command-service over HTTP, and each again until it has an answer.
public final class CommandServiceClient: Sendable {
    /// Where the service is, and how it is asked.
    public struct Configuration: Sendable {
        /// `http://` or `https://`, with the path before `/v1`, if there is one.
        public var url: String
        /// The bearer token; nil for a service that asks for none.
        public var token: String?
        /// How many connections there are, at most.
        public var connections = 4
        /// How long one request may take, in milliseconds.
        public var timeoutMs = 35_000

        public init(url: String, token: String? = nil) {
            self.url = url
            self.token = token
        }
    }

    /// The service cannot be used as it is asked: sending again does not help.
    public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        public enum Code: Hashable, Sendable {
            /// Nobody answers at the address.
            case unreachable
            /// The service wants another token.
            case unauthorized
            /// The service does not take such a request, or has failed.
            case refused
        }

        public let code: Code
        public let description: String
    }

    /// What became of a command.
    enum Answer: Hashable, Sendable {
        /// - id: of what was created; nil for a command that creates nothing.
        case accepted(id: String?)
        case refused(rule: String)
        /// The service does not have the path.
        case absent
        /// The client was stopped before there was an answer.
        case stopped
    }

    /// One attempt.
    private enum Attempt {
        case answer(Answer)
        case later(String, after: Duration?)
    }

    private let configuration: Configuration
    private let base: String
    private let client: HTTPClient
    private let onTrouble: @Sendable (String) -> Void

    private static let maximumAnswerBytes = 1_048_576

    /// - Parameter onTrouble: told when a command has no answer, and is sent again.
    public init(_ configuration: Configuration, onTrouble: @escaping @Sendable (String) -> Void = { _ in }) {
        self.configuration = configuration
        self.onTrouble = onTrouble
        base = configuration.url.hasSuffix("/") ? String(configuration.url.dropLast()) : configuration.url
        var settings = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: .seconds(5)))
        settings.httpVersion = .http1Only
        settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = configuration.connections
        settings.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(configuration: settings)
    }

    /// Closes the connections. Nothing is sent afterwards.
    public func shutdown() async {
        try? await client.shutdown()
    }

    /// Asks for the service's description, so that a wrong address is known before there is a load.
    ///
    /// - Throws: ``Failure``.
    public func check() async throws {
        let answer: (status: Int, location: String?, retryAfter: Duration?, body: [UInt8])
        do {
            answer = try await exchange("GET", "/openapi.json", [], key: nil)
        } catch {
            throw Failure(code: .unreachable, description: "\(configuration.url) does not answer: \(error)")
        }
        guard answer.status == 200 else {
            throw Failure(
                code: .unreachable,
                description: "\(base)/openapi.json answers \(answer.status): is it a command-service?")
        }
    }

    /// Sends a command until it has an answer.
    ///
    /// - Parameter isStopped: asked between attempts.
    /// - Throws: ``Failure``.
    func send(_ command: RemoteCommand, unless isStopped: () -> Bool) async throws -> Answer {
        var backoff = Backoff(initial: .milliseconds(50), ceiling: .seconds(2))
        while !isStopped(), !Task.isCancelled {
            switch try await attempt(command) {
            case .answer(let answer): return answer
            case .later(let reason, let pause):
                onTrouble(reason)
                // Cut short by the cancellation, which ends the loop.
                try? await Task.sleep(for: max(pause ?? .zero, backoff.next()))
            }
        }
        return .stopped
    }

    private func attempt(_ command: RemoteCommand) async throws -> Attempt {
        let answer: (status: Int, location: String?, retryAfter: Duration?, body: [UInt8])
        do {
            answer = try await exchange(command.method.rawValue, command.path, command.body, key: command.key)
        } catch {
            return .later("\(error)", after: nil)
        }
        let problem = Self.problem(answer.body)
        switch answer.status {
        case 200..<300:
            let id = answer.location?.split(separator: "/").last.map(String.init)
            return .answer(.accepted(id: id))
        case 401, 403:
            throw Failure(
                code: .unauthorized,
                description: "\(base) answers \(answer.status): give a valid token in --token-file")
        case 404 where problem == nil: return .answer(.absent)
        case 408, 429, 502, 503, 504: return .later("\(answer.status) \(problem ?? "")", after: answer.retryAfter)
        case 409 where problem == "concurrent-change": return .later("409 concurrent-change", after: answer.retryAfter)
        case 404, 409, 422:
            if let problem, problem != "idempotency-key-reused" { return .answer(.refused(rule: problem)) }
        default: break
        }
        throw Failure(
            code: .refused,
            description: "\(command.method.rawValue) \(base)\(command.path) answers \(answer.status) \(problem ?? "")")
    }

    private func exchange(
        _ method: String, _ path: String, _ body: [UInt8], key: String?
    ) async throws -> (status: Int, location: String?, retryAfter: Duration?, body: [UInt8]) {
        var request = HTTPClientRequest(url: base + path)
        request.method = HTTPMethod(rawValue: method)
        request.headers.add(name: "User-Agent", value: "millrace-load")
        if let token = configuration.token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let key { request.headers.add(name: "Idempotency-Key", value: "\"\(key)\"") }
        if !body.isEmpty {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        let answer = try await client.execute(request, timeout: .milliseconds(Int64(configuration.timeoutMs)))
        let bytes = try await answer.body.collect(upTo: Self.maximumAnswerBytes)
        let seconds = answer.headers.first(name: "Retry-After").flatMap { Int($0) }
        return (
            Int(answer.status.code), answer.headers.first(name: "Location"),
            seconds.map { .seconds(min(max($0, 0), 60)) }, Array(buffer: bytes)
        )
    }

    /// The last part of a problem's type (RFC 9457).
    private static func problem(_ body: [UInt8]) -> String? {
        let object = try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any]
        guard let type = object?["type"] as? String, type.hasPrefix("/problems/") else { return nil }
        return String(type.dropFirst(10))
    }
}
