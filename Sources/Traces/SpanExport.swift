internal import Blocking
internal import CoreMetrics
public import Logging
public import ServiceLifecycle
internal import Synchronization

/// Sends spans to their destination. ``SpanFile`` writes a file; another type could send OTLP over HTTP.
public protocol SpanExporter: Sendable {
    /// Exports a batch. It is called for one batch at a time, on a thread of its own, so it may block.
    ///
    /// - Throws: the reason why the batch was not exported. The batch is then lost.
    func export(_ spans: [FinishedSpan]) throws
}

/// Exports spans in batches, on a thread of its own, from a queue with a limit.
///
/// A failure here neither delays nor ends the daemon's work. Spans that find the queue full, or that cannot be
/// exported, are dropped and counted. The reason is logged when it changes.
public final class SpanExport: Service {
    /// The metrics, in one sentence each.
    public static let metricHelp: [String: String] = [
        "millrace_spans_exported_total": "Spans that were exported.",
        "millrace_spans_dropped_total":
            "Spans that were lost: because the queue was full (queue_full), or because the export failed (export).",
    ]

    /// Maximum number of spans in one export.
    private static let batchSize = 512
    /// Maximum time between two exports, in milliseconds.
    private static let intervalMs: Int32 = 1_000
    /// Maximum time for the last exports during a shutdown.
    private static let stopLimit = Duration.seconds(2)

    private let exporter: any SpanExporter
    private let logger: Logger
    private let queue: Mutex<SpanQueue>
    private let wakeup: Wakeup
    private let isStopping = Atomic(false)
    /// The error of the last export; nil if it succeeded.
    private let trouble = Mutex<String?>(nil)
    private let exported = Counter(label: "millrace_spans_exported_total")
    private let refused = Counter(label: "millrace_spans_dropped_total", dimensions: [("reason", "queue_full")])
    private let failed = Counter(label: "millrace_spans_dropped_total", dimensions: [("reason", "export")])

    /// - Parameters:
    ///   - exporter: called on the export thread only.
    ///   - capacity: maximum number of spans in the queue.
    /// - Throws: `WakeupError` if the process has no file descriptor left.
    public init(to exporter: any SpanExporter, capacity: Int, logger: Logger) throws {
        self.exporter = exporter
        self.logger = logger
        queue = Mutex(SpanQueue(capacity: capacity, batchSize: Self.batchSize))
        wakeup = try Wakeup()
        for counter in [exported, refused, failed] { counter.increment(by: 0) }
    }

    /// Adds a span that has ended. It never waits.
    public func add(_ span: FinishedSpan) {
        switch queue.withLock({ $0.append(span) }) {
        case .queued: break
        case .batchIsFull: wakeup.signal()
        case .dropped: refused.increment()
        }
    }

    /// Exports until the process stops, and then exports the rest. The shutdown waits at most two seconds for that, so
    /// that a disk that hangs does not make the shutdown fail.
    public func run() async {
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        // The task is unstructured, because nobody can cancel or wait for a thread that hangs in the kernel.
        Task { [self] in
            await onOwnThread("spans") { [self] in exportUntilStopped() }
            end.finish()
        }
        await withGracefulShutdownHandler {
            for await _ in ends {}
        } onGracefulShutdown: { [self] in
            stop()
            Task {
                try? await Task.sleep(for: Self.stopLimit)
                end.finish()
            }
        }
        stop()
    }

    private func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        wakeup.signal()
    }

    private func exportUntilStopped() {
        while true {
            let isLast = isStopping.load(ordering: .sequentiallyConsistent)
            if !isLast { wakeup.wait(timeoutMs: Self.intervalMs) }
            exportAll()
            if isLast { return }
        }
    }

    /// Exports all queued spans.
    func exportAll() {
        while true {
            let batch = queue.withLock { $0.takeBatch() }
            if batch.isEmpty { return }
            do {
                try exporter.export(batch)
                exported.increment(by: batch.count)
                succeeded()
            } catch {
                failed.increment(by: batch.count)
                note("\(error)")
            }
        }
    }

    private func succeeded() {
        let wasTroubled = trouble.withLock { trouble in
            defer { trouble = nil }
            return trouble != nil
        }
        if wasTroubled { logger.notice("spans are exported again") }
    }

    private func note(_ text: String) {
        let isNews = trouble.withLock { trouble in
            defer { trouble = text }
            return trouble != text
        }
        if isNews {
            logger.warning(
                "spans cannot be exported and are dropped; millrace_spans_dropped_total counts them",
                metadata: ["error": "\(text)"])
        }
    }
}
