internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL
public import Traces

/// Sends spans to a collector over HTTP: OTLP/HTTP with the encoding JSON (opentelemetry.io/docs/specs/otlp).
///
/// Whatever the collector does, an export ends within its timeout, reads at most 64 KiB of the answer and follows no
/// redirect. The connection stays open for the next batch.
public struct OTLPExporter: SpanExporter {
    public struct Configuration: Sendable {
        /// The whole URL, as in `http://collector:4318/v1/traces`.
        public var endpoint: String
        /// Further headers of each request, for example an access token. They may be secret.
        public var headers: [String: String]
        /// Maximum duration of one request, in milliseconds.
        public var timeoutMs: Int
        /// The file with the certificate authorities that sign the collector's certificate, in PEM; nil for those of
        /// the system.
        public var certificatesFile: String?
        /// The value of the header `User-Agent`.
        public var userAgent: String

        public init(
            endpoint: String, headers: [String: String] = [:], timeoutMs: Int = 10_000,
            certificatesFile: String? = nil, userAgent: String
        ) {
            self.endpoint = endpoint
            self.headers = headers
            self.timeoutMs = timeoutMs
            self.certificatesFile = certificatesFile
            self.userAgent = userAgent
        }
    }

    /// Whether the file contains certificates in PEM.
    public static func canRead(certificatesFile path: String) -> Bool {
        let certificates = try? NIOSSLCertificate.fromPEMFile(path)
        return certificates?.isEmpty == false
    }

    /// Maximum size of an answer's body, in bytes.
    private static let maxAnswerBytes = 64 * 1_024

    private let configuration: Configuration
    private let encoder: OTLPTraces
    private let client: HTTPClient

    /// Call ``close()`` in the end.
    public init(_ configuration: Configuration, encoder: OTLPTraces) {
        self.configuration = configuration
        self.encoder = encoder
        let timeout = TimeAmount.milliseconds(Int64(configuration.timeoutMs))
        var settings = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: timeout, read: timeout))
        settings.httpVersion = .http1Only
        // SpanExport decides about further attempts.
        settings.connectionPool.retryConnectionEstablishment = false
        if let file = configuration.certificatesFile {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.trustRoots = .file(file)
            settings.tlsConfiguration = tls
        }
        // The export of spans must not create spans.
        settings.tracing.tracer = nil
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
    }

    public func export(_ spans: [FinishedSpan]) async throws -> SpanRejection? {
        try Task.checkCancellation()
        let answer: CollectorAnswer
        do {
            answer = try await answerInTime(to: encoder.encode(spans))
        } catch let error as TransientExportError {
            throw error
        } catch let error as HTTPClientError where Self.timeouts.contains(error) {
            throw late
        } catch {
            try Task.checkCancellation()
            throw TransientExportError("the collector cannot be reached: \(error)")
        }
        return try answer.rejection()
    }

    public func close() async {
        try? await client.shutdown()
    }

    private static let timeouts: [HTTPClientError] = [.deadlineExceeded, .connectTimeout, .readTimeout]

    private var late: TransientExportError {
        TransientExportError("the collector did not complete its answer within \(configuration.timeoutMs) ms")
    }

    /// The client's own timeout ends with the head of the answer, so this is a limit for the whole.
    private func answerInTime(to body: [UInt8]) async throws -> CollectorAnswer {
        try await withThrowingTaskGroup(of: CollectorAnswer.self) { group in
            group.addTask { try await answer(to: body) }
            group.addTask {
                try await Task.sleep(for: .milliseconds(configuration.timeoutMs))
                throw late
            }
            defer { group.cancelAll() }
            guard let answer = try await group.next() else { throw CancellationError() }
            return answer
        }
    }

    private func answer(to body: [UInt8]) async throws -> CollectorAnswer {
        var request = HTTPClientRequest(url: configuration.endpoint)
        request.method = .POST
        request.headers = ["Content-Type": "application/json", "User-Agent": configuration.userAgent]
        for (name, value) in configuration.headers { request.headers.replaceOrAdd(name: name, value: value) }
        request.body = .bytes(body)
        let response = try await client.execute(request, timeout: .milliseconds(Int64(configuration.timeoutMs)))
        var answer = CollectorAnswer(
            status: Int(response.status.code), retryAfter: response.headers.first(name: "Retry-After"))
        // The status has decided: what the body of an accepted batch adds is the number of refused spans.
        if answer.isAccepted, let body = try? await response.body.collect(upTo: Self.maxAnswerBytes) {
            answer.body = Array(body.readableBytesView)
        }
        return answer
    }
}
