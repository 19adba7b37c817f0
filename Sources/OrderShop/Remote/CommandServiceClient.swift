internal import Foundation
internal import HTTPClient
internal import StreamCore

/// A request to command-service.
struct RemoteCommand: Hashable, Sendable {
    var method = OutgoingRequest.Method.post
    /// The path relative to the service's address, which begins with `/v1`. Ids in it are percent-encoded.
    let path: String
    /// The JSON body; empty for none.
    var body: [UInt8] = []
    /// The idempotency key, which makes it safe to send the request again.
    let key: String
}

/// Sends commands to command-service over HTTP, and repeats each until it gets an answer.
public final class CommandServiceClient: Sendable {
    /// The service's address and the limits of its requests.
    public struct Configuration: Sendable {
        /// The address: `http://` or `https://`, with the path before `/v1` if there is one.
        public var url: String
        /// The bearer token; nil if the service requires none.
        public var token: String?
        /// Maximum time for one request, in milliseconds.
        public var timeoutMs = 35_000

        public init(url: String, token: String? = nil) {
            self.url = url
            self.token = token
        }
    }

    /// A permanent error of the service or its configuration.
    public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        public enum Code: Hashable, Sendable {
            /// No server answers at the address.
            case unreachable
            /// The service rejects the token.
            case unauthorized
            /// The service rejects the request, or has an internal error.
            case refused
        }

        public let code: Code
        public let description: String
    }

    /// The result of a command.
    enum Answer: Hashable, Sendable {
        /// - id: the id of the created resource; nil if the command creates none.
        case accepted(id: String?)
        case refused(rule: String)
        /// The service does not have the path.
        case absent
        /// The client was stopped before it got an answer.
        case stopped
    }

    /// The result of one attempt.
    private enum Attempt {
        case answer(Answer)
        case later(String, after: Duration?)
    }

    private let configuration: Configuration
    private let base: String
    private let client: WebClient
    private let onTrouble: @Sendable (String) -> Void

    private static let maximumAnswerBytes = 1_048_576

    /// - Parameter onTrouble: called when a command got no answer and is sent again.
    public init(_ configuration: Configuration, onTrouble: @escaping @Sendable (String) -> Void = { _ in }) {
        self.configuration = configuration
        self.onTrouble = onTrouble
        base = configuration.url.hasSuffix("/") ? String(configuration.url.dropLast()) : configuration.url
        var settings = WebClient.Configuration()
        settings.connectTimeoutMs = 5_000
        client = WebClient(settings)
    }

    /// Closes the connections. The client cannot be used afterwards.
    public func shutdown() async {
        await client.close()
    }

    /// Requests the OpenAPI description, to detect a wrong address before the load begins.
    ///
    /// - Throws: ``Failure``.
    public func check() async throws {
        let answer: IncomingAnswer
        do {
            answer = try await exchange(.get, "/openapi.json")
        } catch {
            throw Failure(code: .unreachable, description: "\(configuration.url) does not answer: \(error)")
        }
        guard answer.status == 200 else {
            throw Failure(
                code: .unreachable,
                description: "\(base)/openapi.json answers \(answer.status): check that this is a command-service")
        }
    }

    /// Sends a command until it gets an answer.
    ///
    /// - Parameter isStopped: called between attempts.
    /// - Throws: ``Failure``.
    func send(_ command: RemoteCommand, unless isStopped: () -> Bool) async throws -> Answer {
        var backoff = Backoff(initial: .milliseconds(50), ceiling: .seconds(2))
        while !isStopped(), !Task.isCancelled {
            switch try await attempt(command) {
            case .answer(let answer): return answer
            case .later(let reason, let pause):
                onTrouble(reason)
                // A cancellation ends the sleep early, and then the loop.
                try? await Task.sleep(for: max(pause ?? .zero, backoff.next()))
            }
        }
        return .stopped
    }

    private func attempt(_ command: RemoteCommand) async throws -> Attempt {
        let answer: IncomingAnswer
        do {
            answer = try await exchange(command.method, command.path, command)
        } catch {
            return .later("\(error)", after: nil)
        }
        guard let body = answer.body else { return .later("an answer that broke off or is too large", after: nil) }
        let problem = Self.problem(body)
        switch answer.status {
        case 200..<300:
            let id = answer.header("Location")?.split(separator: "/").last.map(String.init)
            return .answer(.accepted(id: id))
        case 401, 403:
            throw Failure(
                code: .unauthorized,
                description: "\(base) answers \(answer.status): give a valid token in --token-file")
        case 404 where problem == nil: return .answer(.absent)
        case 408, 429, 502, 503, 504: return .later("\(answer.status) \(problem ?? "")", after: Self.pause(answer))
        case 409 where problem == "concurrent-change": return .later("409 concurrent-change", after: Self.pause(answer))
        case 404, 409, 422:
            if let problem, problem != "idempotency-key-reused" { return .answer(.refused(rule: problem)) }
        default: break
        }
        throw Failure(
            code: .refused,
            description: "\(command.method.rawValue) \(base)\(command.path) answers \(answer.status) \(problem ?? "")")
    }

    private func exchange(
        _ method: OutgoingRequest.Method, _ path: String, _ command: RemoteCommand? = nil
    ) async throws(ExchangeError) -> IncomingAnswer {
        var request = OutgoingRequest(
            method, base + path, headers: [("User-Agent", "millrace-load")], body: command?.body ?? [],
            timeoutMs: configuration.timeoutMs, maxBodyBytes: Self.maximumAnswerBytes)
        if let token = configuration.token { request.headers.append(("Authorization", "Bearer \(token)")) }
        if let key = command?.key { request.headers.append(("Idempotency-Key", "\"\(key)\"")) }
        if !request.body.isEmpty { request.headers.append(("Content-Type", "application/json")) }
        return try await client.send(request)
    }

    /// The pause that the service asks for, at most a minute.
    private static func pause(_ answer: IncomingAnswer) -> Duration? {
        answer.header("Retry-After").flatMap { Int($0) }.map { .seconds(min(max($0, 0), 60)) }
    }

    /// The last part of a problem's type (RFC 9457).
    private static func problem(_ body: [UInt8]) -> String? {
        let object = try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any]
        guard let type = object?["type"] as? String, type.hasPrefix("/problems/") else { return nil }
        return String(type.dropFirst(10))
    }
}
