internal import Foundation
internal import HTTPClient

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
        // An alert is about many events, so its request has no header of a trace. Alerts are rare, so each has its own
        // client and connection.
        let client = WebClient()
        let request = OutgoingRequest(
            .post, url.absoluteString, headers: headers, body: body, timeoutMs: timeoutMs, maxBodyBytes: nil)
        let status: Result<Int, Failure>
        do throws(ExchangeError) {
            status = .success(try await client.send(request).status)
        } catch {
            status = .failure(Failure(error))
        }
        await client.close()
        let code = try status.get()
        guard (200..<300).contains(code) else { throw .refused(status: code) }
    }
}

extension WebhookExchange.Failure {
    fileprivate init(_ error: ExchangeError) {
        switch error {
        case .timedOut: self = .timedOut
        case .failed(let text): self = .unreachable(text)
        case .cancelled: self = .cancelled
        }
    }
}
