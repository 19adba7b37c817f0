internal import HTTPClient
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
        WebClient.canRead(certificatesFile: path)
    }

    /// Maximum size of an answer's body, in bytes.
    private static let maxAnswerBytes = 64 * 1_024

    private let configuration: Configuration
    private let encoder: OTLPTraces
    private let client: WebClient
    private let headers: [(name: String, value: String)]

    /// Call ``close()`` in the end.
    public init(_ configuration: Configuration, encoder: OTLPTraces) {
        self.configuration = configuration
        self.encoder = encoder
        var settings = WebClient.Configuration()
        settings.certificatesFile = configuration.certificatesFile
        client = WebClient(settings)
        headers = Self.headers(configuration)
    }

    public func export(_ spans: [FinishedSpan]) async throws -> SpanRejection? {
        try Task.checkCancellation()
        let request = OutgoingRequest(
            .post, configuration.endpoint, headers: headers, body: encoder.encode(spans),
            timeoutMs: configuration.timeoutMs, maxBodyBytes: Self.maxAnswerBytes)
        let answer: IncomingAnswer
        do throws(ExchangeError) {
            answer = try await client.send(request)
        } catch {
            switch error {
            case .timedOut:
                throw TransientExportError(
                    "the collector did not complete its answer within \(configuration.timeoutMs) ms")
            case .failed(let text): throw TransientExportError("the collector cannot be reached: \(text)")
            case .cancelled: throw CancellationError()
            }
        }
        // The status has decided: what the body of an accepted batch adds is the number of refused spans.
        return try CollectorAnswer(
            status: answer.status, retryAfter: answer.header("Retry-After"), body: answer.body ?? []
        ).rejection()
    }

    public func close() async {
        await client.close()
    }

    /// The headers of each request. Those of the configuration replace the others.
    private static func headers(_ configuration: Configuration) -> [(name: String, value: String)] {
        let own = [("Content-Type", "application/json"), ("User-Agent", configuration.userAgent)]
        let configured = configuration.headers.map { (name: $0.key, value: $0.value) }
        return own.filter { (name, _) in !configured.contains { $0.name.lowercased() == name.lowercased() } }
            + configured
    }
}
