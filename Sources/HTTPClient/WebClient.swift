internal import CLibCrypto
internal import Synchronization

/// Sends HTTP/1.1 requests to servers of others, with libcurl.
///
/// Whatever a server does, an exchange ends within its timeout and keeps a limited part of the answer in memory. The
/// client follows no redirect, uses no proxy, and sends no header but those of the request and of HTTP itself. It opens
/// as many connections as there are exchanges at the same time, and keeps them open for further requests. All exchanges
/// of a client run on one thread of its own.
public final class WebClient: Sendable {
    public struct Configuration: Sendable {
        /// Maximum time to establish a connection, in milliseconds. The timeout of the request is a limit as well.
        public var connectTimeoutMs = 300_000
        /// The file with the certificate authorities to trust, in PEM; nil for those of the system.
        public var certificatesFile: String?

        public init() {}
    }

    /// nil if libcurl could not start.
    private let loop: TransferLoop?

    /// Starts the client's thread.
    public init(_ configuration: Configuration = Configuration()) {
        loop = TransferLoop(configuration)
    }

    deinit {
        loop?.beginToClose()
    }

    /// Whether TLS can use the file for ``Configuration/certificatesFile``.
    public static func canRead(certificatesFile path: String) -> Bool {
        let store = unsafe X509_STORE_new()
        defer {
            unsafe X509_STORE_free(store)
            // OpenSSL keeps the errors of a thread for others to find.
            ERR_clear_error()
        }
        return unsafe X509_STORE_load_file(store, path) == 1
    }

    /// Sends a request and reads its answer. A cancellation of the task ends the exchange and closes its connection.
    ///
    /// If a connection of an earlier request ends before the first byte of the answer, libcurl sends the request again
    /// on a new connection. The server may have executed it, so send only requests that may be executed twice.
    public func send(_ request: OutgoingRequest) async throws(ExchangeError) -> IncomingAnswer {
        guard let loop else { throw .failed("libcurl cannot start: the process has no free file descriptor or memory") }
        let exchange = Exchange(request)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { loop.start(exchange, $0) }
        } onCancel: {
            exchange.cancel()
            loop.wake()
        }
        return try result.get()
    }

    /// Ends all exchanges with ``ExchangeError/cancelled``, closes the connections, and ends the thread. Requests that
    /// are sent later end with the same error.
    public func close() async {
        await loop?.close()
    }
}

/// A request to a server.
public struct OutgoingRequest: Sendable {
    public enum Method: String, Hashable, Sendable {
        case get = "GET"
        case post = "POST"
        case delete = "DELETE"
    }

    public var method: Method
    /// The absolute URL, with the scheme `http` or `https`.
    public var url: String
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]
    /// Maximum time until the whole answer is there, in milliseconds.
    public var timeoutMs: Int
    /// Maximum size of the answer's body, in bytes. nil if only the answer's head is wanted: the exchange then ends
    /// with the head and closes the connection.
    public var maxBodyBytes: Int?

    public init(
        _ method: Method, _ url: String, headers: [(name: String, value: String)] = [], body: [UInt8] = [],
        timeoutMs: Int, maxBodyBytes: Int?
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeoutMs = timeoutMs
        self.maxBodyBytes = maxBodyBytes
    }
}

/// The final answer to a request.
public struct IncomingAnswer: Sendable {
    public var status: Int
    var headers: [(name: String, value: String)]
    /// nil if the body is larger than the request allows, if the server broke it off, or if only the head was wanted.
    public var body: [UInt8]?

    /// The value of the first header with this name, in any case.
    public func header(_ name: String) -> String? {
        let name = name.lowercased()
        return headers.first { $0.name.lowercased() == name }?.value
    }
}

/// The reason why a request has no answer.
public enum ExchangeError: Error, Hashable, Sendable, CustomStringConvertible {
    case timedOut
    /// Contains libcurl's text, or says what is wrong with the request.
    case failed(String)
    /// The task was cancelled, or the client is closed.
    case cancelled

    public var description: String {
        switch self {
        case .timedOut: "no answer within the timeout"
        case .failed(let text): text
        case .cancelled: "cancelled"
        }
    }
}

/// A request that a task waits for.
final class Exchange: Sendable {
    let request: OutgoingRequest
    private let cancelled = Atomic(false)

    init(_ request: OutgoingRequest) {
        self.request = request
    }

    var isCancelled: Bool { cancelled.load(ordering: .acquiring) }
    func cancel() { cancelled.store(true, ordering: .releasing) }
}
