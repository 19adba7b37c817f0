internal import Dispatch
internal import Foundation
internal import FoundationNetworking
internal import Synchronization

/// One POST and the head of its answer. Nothing that the endpoint does can make it take longer than its timeout, read
/// more than the answer's head, or go anywhere else.
enum WebhookExchange {
    /// Why an endpoint has not taken a message.
    enum Failure: Error, Sendable, Hashable, CustomStringConvertible {
        /// It answered, with another status than 2xx.
        case refused(status: Int)
        case timedOut
        /// No answer: the transport's error.
        case unreachable(String)
        case cancelled

        var description: String {
            switch self {
            case .refused(let status):
                (300..<400).contains(status)
                    ? "answered \(status): redirections are not followed" : "answered \(status)"
            case .timedOut: "no answer in time"
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
            // The transport's timeout starts anew with each byte that comes; this one does not.
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
        // In whole seconds there; only in case ours does not end it.
        let seconds = (Double(timeoutMs) / 1_000).rounded(.up) + 1
        configuration.timeoutIntervalForRequest = seconds
        configuration.timeoutIntervalForResource = seconds
        configuration.httpCookieStorage = nil
        configuration.httpShouldSetCookies = false
        configuration.urlCache = nil
        return configuration
    }
}

/// Waits for the head of one answer, and breaks the exchange off when it is there.
///
/// No completion handler is ever called. On Linux the session ignores what the one of a response is told, so that only
/// cancelling the task keeps an endless body out; and it ends the process when the one of a redirection is called
/// after the task was cancelled, as our timeout may at any moment.
private final class WebhookAnswer: NSObject, URLSessionDataDelegate, @unchecked Sendable {
    // SAFETY: the mutex guards all there is; NSObject has no state of its own.
    private let state = Mutex(State())

    private struct State {
        var waiting: CheckedContinuation<Result<Int, WebhookExchange.Failure>, Never>?
        var result: Result<Int, WebhookExchange.Failure>?
        var session: URLSession?
    }

    /// Exchanges that were broken off and are not over. All sessions of a process share one queue on Linux.
    private static let ending = Atomic(0)
    private static let endingLimit = 8

    /// Answers the status, or why there is none. Called once.
    func wait(_ start: () -> Void) async -> Result<Int, WebhookExchange.Failure> {
        await withCheckedContinuation { continuation in
            let early: Result<Int, WebhookExchange.Failure>? = state.withLock { state in
                if state.result == nil { state.waiting = continuation }
                return state.result
            }
            if let early { continuation.resume(returning: early) } else { start() }
        }
    }

    /// To make and to cancel a task waits for the session's queue, which is not free while bytes come as fast as they
    /// are read: that is nothing for the threads that all tasks share.
    func start(_ request: URLRequest, _ configuration: URLSessionConfiguration) {
        guard Self.ending.load(ordering: .relaxed) < Self.endingLimit else {
            return end(with: .failure(.unreachable("earlier exchanges have not ended yet")))
        }
        DispatchQueue.global().async { [self] in
            // A session of its own: what is left of a connection that was broken off serves nobody else.
            let session = URLSession(configuration: configuration, delegate: self, delegateQueue: nil)
            let task = session.dataTask(with: request)
            let isWanted = state.withLock { state in
                if state.result == nil { state.session = session }
                return state.result == nil
            }
            if isWanted { task.resume() } else { session.invalidateAndCancel() }
        }
    }

    /// The first end counts, and breaks the exchange off.
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

    /// What comes before the exchange is broken off is dropped.
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
