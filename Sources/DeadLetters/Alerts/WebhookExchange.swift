internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOHTTP1

/// Sends one POST request and reads the head of its answer. Whatever the endpoint does, the exchange ends within its
/// timeout, reads no body and follows no redirect.
enum WebhookExchange {
    /// The reason why an endpoint did not accept a message.
    enum Failure: Error, Sendable, Hashable, CustomStringConvertible {
        /// The endpoint answered with another status than 2xx.
        case refused(status: Int)
        case timedOut
        /// The endpoint sent no answer. Contains the error of the transport.
        case unreachable(String)
        case cancelled

        var description: String {
            switch self {
            case .refused(let status):
                (300..<400).contains(status)
                    ? "answered \(status): redirects are not followed" : "answered \(status)"
            case .timedOut: "no answer within the timeout"
            case .unreachable(let text): text
            case .cancelled: "cancelled"
            }
        }
    }

    static func post(
        _ url: URL, headers: [(name: String, value: String)], body: [UInt8], timeoutMs: Int
    ) async throws(Failure) {
        var request = HTTPClientRequest(url: url.absoluteString)
        request.method = .POST
        for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
        request.body = .bytes(body)
        // Alerts are rare, so each has its own client and connection.
        let client = HTTPClient(configuration: configuration(timeoutMs))
        let status: Result<Int, Failure>
        do {
            let answer = try await client.execute(request, timeout: .milliseconds(Int64(timeoutMs)))
            status = .success(Int(answer.status.code))
        } catch {
            status = .failure(Task.isCancelled ? .cancelled : Failure(error))
        }
        // Closes the connection, even if a body is still arriving.
        try? await client.shutdown()
        let code = try status.get()
        guard (200..<300).contains(code) else { throw .refused(status: code) }
    }

    private static func configuration(_ timeoutMs: Int) -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: .milliseconds(Int64(timeoutMs))))
        configuration.httpVersion = .http1Only
        // The sender decides about further attempts.
        configuration.connectionPool.retryConnectionEstablishment = false
        // An alert is about many events, so it belongs to no trace. The webhook of another program must not receive a
        // trace either.
        configuration.tracing.tracer = nil
        return configuration
    }
}

extension WebhookExchange.Failure {
    fileprivate init(_ error: any Error) {
        let isTimeout = [.deadlineExceeded, .connectTimeout].contains(error as? HTTPClientError)
        self = isTimeout ? .timedOut : .unreachable("\(error)")
    }
}
