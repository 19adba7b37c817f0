internal import Settings
internal import Traces

/// `[tracing]`: which spans are recorded, and where they are written.
struct TracingSettings: Sendable {
    /// Empty if nothing is traced.
    var directory: String
    var sampleRatio: Double
    var maxFileBytes: Int
    var maxQueuedSpans: Int

    init(from reader: SettingsReader) {
        let section = reader.section(
            "tracing", "Distributed tracing: spans in files of OTLP/JSON, for an OpenTelemetry Collector.")
        directory = section.string(
            "directory", default: "",
            """
            The directory for files of spans, as an absolute path. It must exist, and the daemon needs the right to \
            write in it. The file is NAME.jsonl, with the name of the daemon. Empty records nothing; traces that \
            others began are then passed on unchanged.
            """
        ) {
            $0.isEmpty || $0.hasPrefix("/") ? nil : "must be an absolute path"
        }
        sampleRatio = section.number(
            "sample_ratio", default: 1, in: 0...1,
            """
            The part of the traces that begin in this daemon, with a request without a traceparent, that is recorded. \
            A trace that began elsewhere is recorded if its traceparent says so. Lower it when \
            millrace_spans_dropped_total grows.
            """)
        maxFileBytes = section.integer(
            "max_file_bytes", default: 100_000_000, in: 1_000_000...100_000_000_000,
            """
            Size at which the file is renamed to NAME.jsonl.1, which replaces the one before, and a new file begins. \
            Both take at most twice as much.
            """)
        maxQueuedSpans = section.integer(
            "max_queued_spans", default: 8_192, in: 512...1_000_000,
            "Maximum number of spans that wait to be written. Further spans are dropped and counted.")
    }
}
