/// Sends spans to their destination: ``SpanFile`` writes a file, `OTLPExporter` calls a collector.
public protocol SpanExporter: Sendable {
    /// Exports a batch. It is called for one batch at a time. After a cancellation it should return soon.
    ///
    /// - Returns: what the destination refused; nil if it accepted the whole batch.
    /// - Throws: the reason why the batch was not exported: ``TransientExportError`` if the destination may accept the
    ///   same batch later. After any other error the batch is lost.
    func export(_ spans: [FinishedSpan]) async throws -> SpanRejection?

    /// Releases connections. It is called once, after the last export.
    func close() async
}

/// The spans of an accepted batch that the destination refused.
public struct SpanRejection: Sendable, Equatable, CustomStringConvertible {
    public let spans: Int
    /// The reason that the destination gave; may be empty.
    public let message: String

    public init(spans: Int, message: String) {
        self.spans = spans
        self.message = message
    }

    public var description: String {
        "the collector refused \(spans) spans of a batch" + (message.isEmpty ? "" : ": \(message)")
    }
}

/// A batch was not exported, and the same batch may be accepted later.
public struct TransientExportError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
    /// Minimum time until the next attempt, if the destination named one.
    public let retryAfter: Duration?

    public init(_ description: String, retryAfter: Duration? = nil) {
        self.description = description
        self.retryAfter = retryAfter
    }
}
