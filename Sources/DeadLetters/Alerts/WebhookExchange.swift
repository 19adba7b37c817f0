internal import Dispatch
internal import Foundation
internal import FoundationNetworking
internal import Synchronization

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
        var request = URLRequest(url: url, timeoutInterval: (Double(timeoutMs) / 1_000).rounded(.up) + 1)
        request.httpMethod = "POST"
        request.httpBody = Data(body)
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        let answer = WebhookAnswer()
        let ready = request
        let outcome = await withTaskGroup(of: Void.self) { group in
            // The transport restarts its timeout with each byte that it receives. This timeout covers the exchange.
            group.addTask {
                do { try await Task.sleep(for: .milliseconds(timeoutMs)) } catch { return }
                answer.end(with: .failure(.timedOut))
            }
            defer { group.cancelAll() }
            return await withTaskCancellationHandler {
                await answer.wait { answer.start(ready, configuration(timeoutMs)) }
            } onCancel: {
                answer.end(with: .failure(.cancelled))
            }
        }
        let status = try outcome.get()
        guard (200..<300).contains(status) else { throw .refused(status: status) }
    }

    private static func configuration(_ timeoutMs: Int) -> URLSessionConfiguration {
        let configuration = URLSessionConfiguration.ephemeral
        // These timeouts have whole seconds. They are a fallback if the exchange's own timeout does not end it.
        let seconds = (Double(timeoutMs) / 1_000).rounded(.up) + 1
        configuration.timeoutIntervalForRequest = seconds
        configuration.timeoutIntervalForResource = seconds
        configuration.httpCookieStorage = nil
        configuration.httpShouldSetCookies = false
        configuration.urlCache = nil
        return configuration
    }
}

/// Waits for the head of one answer and then cancels the exchange.
///
/// It never calls a completion handler. On Linux the session ignores the disposition of a response, so only a cancelled
/// task stops an endless body. The session also ends the process if the handler of a redirect is called after the task
/// was cancelled, which the timeout may do at any moment.
private final class WebhookAnswer: NSObject, URLSessionDataDelegate, @unchecked Sendable {
    // SAFETY: the mutex guards all state; NSObject has none.
    private let state = Mutex(State())

    private struct State {
        var waiting: CheckedContinuation<Result<Int, WebhookExchange.Failure>, Never>?
        var result: Result<Int, WebhookExchange.Failure>?
        var session: URLSession?
    }

    /// Number of cancelled exchanges that have not ended yet. All sessions of a process share one queue on Linux.
    private static let ending = Atomic(0)
    private static let endingLimit = 8

    /// Returns the status, or the reason why there is none. Call it once.
    func wait(_ start: () -> Void) async -> Result<Int, WebhookExchange.Failure> {
        await withCheckedContinuation { continuation in
            let early: Result<Int, WebhookExchange.Failure>? = state.withLock { state in
                if state.result == nil { state.waiting = continuation }
                return state.result
            }
            if let early { continuation.resume(returning: early) } else { start() }
        }
    }

    /// Creating or cancelling a task waits for the session's queue, which is busy while bytes arrive without a pause.
    /// It therefore runs outside of the threads that all tasks share.
    func start(_ request: URLRequest, _ configuration: URLSessionConfiguration) {
        guard Self.ending.load(ordering: .relaxed) < Self.endingLimit else {
            return end(with: .failure(.unreachable("earlier exchanges have not ended yet")))
        }
        DispatchQueue.global().async { [self] in
            // Each exchange has its own session, so no other exchange uses a cancelled connection.
            let session = URLSession(configuration: configuration, delegate: self, delegateQueue: nil)
            let task = session.dataTask(with: request)
            let isWanted = state.withLock { state in
                if state.result == nil { state.session = session }
                return state.result == nil
            }
            if isWanted { task.resume() } else { session.invalidateAndCancel() }
        }
    }

    /// Ends the exchange. Only the first call has an effect.
    func end(with result: Result<Int, WebhookExchange.Failure>) {
        let before: State? = state.withLock { state in
            guard state.result == nil else { return nil }
            let before = state
            state = State(result: result)
            return before
        }
        before?.waiting?.resume(returning: result)
        guard let session = before?.session else { return }
        Self.ending.add(1, ordering: .relaxed)
        DispatchQueue.global().async {
            session.invalidateAndCancel()
            Self.ending.subtract(1, ordering: .relaxed)
        }
    }

    func urlSession(
        _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
    ) {
        if let response = response as? HTTPURLResponse { end(with: .success(response.statusCode)) }
    }

    /// Drops bytes of the body that arrive before the exchange is cancelled.
    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {}

    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping (URLRequest?) -> Void
    ) {
        end(with: .success(response.statusCode))
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        guard let error else {
            let status = (task.response as? HTTPURLResponse)?.statusCode
            return end(with: status.map { .success($0) } ?? .failure(.unreachable("no HTTP answer")))
        }
        let isTimeout = (error as? URLError)?.code == .timedOut
        end(with: .failure(isTimeout ? .timedOut : .unreachable(Self.describe(error))))
    }

    private static func describe(_ error: any Error) -> String {
        let error = error as NSError
        return error.localizedDescription.isEmpty ? "\(error.domain) \(error.code)" : error.localizedDescription
    }
}
