internal import OTLPClient
internal import Settings
internal import Traces

/// `[tracing]`: which spans are recorded, and where they go.
struct TracingSettings: Sendable {
    /// Where spans go. Its text contains no header.
    enum Destination: Sendable, Equatable, CustomStringConvertible {
        case directory(String, maxFileBytes: Int)
        case collector(endpoint: String, headers: [String: String], timeoutMs: Int, certificatesFile: String?)

        var description: String {
            switch self {
            case .directory(let path, _): path
            case .collector(let endpoint, _, _, _): endpoint
            }
        }
    }

    /// Nil if nothing is traced.
    var destination: Destination?
    var sampleRatio: Double
    var limits = SpanExport.Limits()

    init(from reader: SettingsReader) {
        let section = reader.section(
            "tracing",
            "Distributed tracing: spans as OTLP/JSON, in files or over HTTP, for an OpenTelemetry Collector.")
        let file = Self.file(section)
        let collector = Self.collector(section)
        sampleRatio = section.number(
            "sample_ratio", default: 1, in: 0...1,
            """
            Fraction of the new traces that the daemon records. A trace is new if it begins with a request without a \
            traceparent. Other traces are recorded if their traceparent says so. Lower it when \
            millrace_spans_dropped_total grows.
            """)
        let defaults = SpanExport.Limits()
        limits.queuedSpans = section.integer(
            "max_queued_spans", default: defaults.queuedSpans, in: 512...1_000_000,
            """
            Maximum number of spans that wait to be exported. Further spans are dropped and counted. Raise it if the \
            collector may be unavailable for longer times. A span takes about one kilobyte of memory.
            """)
        limits.batchSpans = section.integer(
            "batch_spans", default: defaults.batchSpans, in: 1...10_000,
            """
            Maximum number of spans in one request or line. Lower it if the collector refuses requests because of \
            their size (413).
            """)
        limits.giveUpAfter = .milliseconds(
            section.integer(
                "give_up_after_ms", default: 60_000, in: 0...3_600_000,
                """
                Time after which the daemon drops a batch that the collector does not accept. Until then it sends the \
                batch again, with growing delays, while the queue fills. 0 makes one attempt.
                """))
        if file != nil, collector != nil {
            section.reject("endpoint", "cannot be combined with directory: set one of them")
        }
        destination = file ?? collector
    }

    private static func file(_ section: SectionReader) -> Destination? {
        let directory = section.string(
            "directory", default: "",
            """
            The directory for files of spans, as an absolute path. It must exist, and the daemon needs the right to \
            write in it. The file is NAME.jsonl, with the name of the daemon. If neither directory nor endpoint is \
            set, the daemon records nothing. It then passes traces that began elsewhere on unchanged.
            """
        ) {
            $0.isEmpty || $0.hasPrefix("/") ? nil : "must be an absolute path"
        }
        let maxFileBytes = section.integer(
            "max_file_bytes", default: 100_000_000, in: 1_000_000...100_000_000_000,
            """
            Size at which the daemon renames the file to NAME.jsonl.1 and begins a new file. A previous NAME.jsonl.1 \
            is replaced. Both files together take at most twice this size.
            """)
        return directory.isEmpty ? nil : .directory(directory, maxFileBytes: maxFileBytes)
    }

    private static func collector(_ section: SectionReader) -> Destination? {
        let endpoint = section.string(
            "endpoint", default: "",
            """
            The URL of a collector that receives spans over HTTP (OTLP/HTTP with JSON), with its path, for example \
            http://collector:4318/v1/traces. Use it instead of directory if the daemon must not write files.
            """, check: problem(ofEndpoint:))
        let headers = section.properties(
            "headers", underscoreIsDot: false, areSecret: true,
            examples: [("Authorization", "{ file = \"collector-token\" }")],
            """
            Further headers of requests to the collector. Give a secret as a reference to a file or a variable that \
            contains the whole value, for example Bearer and the token.
            """, check: problem(ofHeader:))
        for (name, value) in headers where value.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
            section.reject("headers", entry: name, "must not contain control characters")
        }
        let timeoutMs = section.integer(
            "timeout_ms", default: 10_000, in: 10...600_000,
            "Maximum duration of one request to the collector.")
        let file = section.file(
            "ca_file", isSecret: false,
            """
            The file with the certificate authorities for a collector with https://, in PEM. If it is not set, the \
            daemon uses those of the system.
            """)
        if !file.isEmpty, !OTLPExporter.canRead(certificatesFile: file) {
            section.reject("ca_file", "\(file) contains no certificates in PEM, or cannot be read")
        }
        if endpoint.isEmpty { return nil }
        return .collector(
            endpoint: endpoint, headers: headers, timeoutMs: timeoutMs, certificatesFile: file.isEmpty ? nil : file)
    }

    private static func problem(ofEndpoint url: String) -> String? {
        if url.isEmpty { return nil }
        guard let scheme = ["http://", "https://"].first(where: url.hasPrefix) else {
            return "must begin with http:// or https://"
        }
        let rest = url.dropFirst(scheme.count)
        let authority = rest.prefix { !"/?#".contains($0) }
        if authority.contains("@") { return "must not contain a user or a password: use headers" }
        if authority.isEmpty { return "must name a host" }
        let isWritable = url.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        if !isWritable { return "must contain only visible ASCII characters" }
        let hasPath = rest.count > authority.count + 1
        return hasPath ? nil : "must have a path, as in \(scheme)\(authority)/v1/traces"
    }

    /// - Returns: what is wrong with the name of a header (RFC 9110, 5.6.2), or nil.
    private static func problem(ofHeader name: String) -> String? {
        let isToken =
            !name.isEmpty
            && name.utf8.allSatisfy { byte in
                Unicode.Scalar(byte).properties.isAlphabetic && byte < 0x80
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
        if !isToken { return "is not a header name" }
        let own = ["content-type", "content-length", "host", "transfer-encoding", "connection"]
        return own.contains(name.lowercased()) ? "is set by the daemon" : nil
    }
}
