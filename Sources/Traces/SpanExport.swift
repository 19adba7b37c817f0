internal import CoreMetrics
public import Logging
public import ServiceLifecycle
internal import StreamCore
internal import Synchronization

/// Exports spans in batches, one batch at a time, from a queue with a limit.
///
/// A failure here neither delays nor ends the daemon's work. A batch that the destination may accept later is sent
/// again, with growing delays; meanwhile the queue fills. Spans that find the queue full, or that cannot be exported,
/// are dropped and counted. The reason is logged when it changes.
public final class SpanExport: Service {
    /// The limits of an export.
    public struct Limits: Sendable {
        /// Maximum number of spans in the queue.
        public var queuedSpans = 8_192
        /// Maximum number of spans in one export.
        public var batchSpans = 512
        /// Time after which a batch that the destination does not accept is dropped. Zero allows one attempt.
        public var giveUpAfter = Duration.seconds(60)
        /// Maximum time for the last exports during a shutdown.
        public var stopTime = Duration.seconds(2)

        public init() {}
    }

    /// The metrics, in one sentence each.
    public static let metricHelp: [String: String] = [
        "millrace_spans_exported_total": "Spans that were exported.",
        "millrace_spans_dropped_total":
            "Spans that were lost: because the queue was full (queue_full), or because the export failed (export).",
    ]

    /// Maximum time between two exports.
    private static let interval = Duration.seconds(1)
    /// Time that a cancelled export has to end. Only the kernel can hold it up for longer.
    private static let cancelTime = Duration.milliseconds(500)

    private let exporter: any SpanExporter
    private let limits: Limits
    private let logger: Logger
    private let queue: Mutex<SpanQueue>
    /// A value for each time that the queue should be exported; those that come meanwhile are combined.
    private let turns: AsyncStream<Void>
    private let nextTurn: AsyncStream<Void>.Continuation
    private let isStopping = Atomic(false)
    /// The wait before the next attempt. A stop ends it.
    private let pause = Mutex<Task<Void, Never>?>(nil)
    /// The state that was logged last; nil if the last export succeeded.
    private let trouble = Mutex<String?>(nil)
    private let rejections = Mutex(RareLines())
    private let exported = Counter(label: "millrace_spans_exported_total")
    private let refused = Counter(label: "millrace_spans_dropped_total", dimensions: [("reason", "queue_full")])
    private let failed = Counter(label: "millrace_spans_dropped_total", dimensions: [("reason", "export")])

    public init(to exporter: any SpanExporter, limits: Limits, logger: Logger) {
        self.exporter = exporter
        self.limits = limits
        self.logger = logger
        queue = Mutex(SpanQueue(capacity: limits.queuedSpans, batchSize: limits.batchSpans))
        (turns, nextTurn) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        for counter in [exported, refused, failed] { counter.increment(by: 0) }
    }

    /// Adds a span that has ended. It never waits.
    public func add(_ span: FinishedSpan) {
        switch queue.withLock({ $0.append(span) }) {
        case .queued: break
        case .batchIsFull: nextTurn.yield()
        case .dropped: refused.increment()
        }
    }

    /// Exports until the process stops, and then exports the rest, with one attempt for each batch. The shutdown waits
    /// for that at most `stopTime` and half a second, so that a destination that hangs does not make it fail.
    public func run() async {
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        // The task is unstructured, because nobody can wait for a write that hangs in the kernel.
        let exporting = Task { [self] in
            await exportUntilStopped()
            await exporter.close()
            end.finish()
        }
        await withGracefulShutdownHandler {
            for await _ in ends {}
        } onGracefulShutdown: { [self] in
            stop()
            Task { [limits] in
                try? await Task.sleep(for: limits.stopTime)
                exporting.cancel()
                try? await Task.sleep(for: Self.cancelTime)
                end.finish()
            }
        }
        stop()
    }

    private func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        pause.withLock { $0?.cancel() }
        nextTurn.yield()
    }

    private func exportUntilStopped() async {
        let ticks = Task { [nextTurn] in
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.interval)
                nextTurn.yield()
            }
        }
        defer { ticks.cancel() }
        for await _ in turns {
            let isLast = isStopping.load(ordering: .sequentiallyConsistent)
            await exportAll()
            if isLast { return }
        }
    }

    /// Exports all queued spans.
    func exportAll() async {
        while true {
            let batch = queue.withLock { $0.takeBatch() }
            if batch.isEmpty { return }
            await export(batch)
        }
    }

    private func export(_ batch: [FinishedSpan]) async {
        let start = ContinuousClock.now
        var retry = ExportRetry(limit: limits.giveUpAfter)
        var random = SystemRandomNumberGenerator()
        while true {
            // An attempt that began before the stop may have one more.
            let isLast = isEnding
            do {
                accepted(batch, but: try await exporter.export(batch))
                return
            } catch {
                guard let transient = error as? TransientExportError, !isLast,
                    let delay = retry.delay(after: transient, elapsed: .now - start, using: &random)
                else {
                    failed.increment(by: batch.count)
                    note("spans cannot be exported and are dropped; millrace_spans_dropped_total counts them", error)
                    return
                }
                note("spans cannot be exported and are sent again", error)
                await wait(delay)
            }
        }
    }

    /// Whether waiting is over.
    private var isEnding: Bool { Task.isCancelled || isStopping.load(ordering: .sequentiallyConsistent) }

    private func wait(_ delay: Duration) async {
        let sleep = Task<Void, Never> { try? await Task.sleep(for: delay) }
        pause.withLock { $0 = sleep }
        // A stop before the line above found no pause to end. One after it ends this one.
        if isEnding { sleep.cancel() }
        await withTaskCancellationHandler {
            await sleep.value
        } onCancel: {
            sleep.cancel()
        }
    }

    // MARK: results

    private func accepted(_ batch: [FinishedSpan], but rejection: SpanRejection?) {
        let rejected = min(max(rejection?.spans ?? 0, 0), batch.count)
        exported.increment(by: batch.count - rejected)
        failed.increment(by: rejected)
        let wasTroubled = trouble.withLock { trouble in
            defer { trouble = nil }
            return trouble != nil
        }
        if wasTroubled { logger.notice("spans are exported again") }
        if let rejection, rejections.withLock({ $0.isDue("rejected", .now) }) { logger.warning("\(rejection)") }
    }

    private func note(_ text: String, _ error: any Error) {
        let state = "\(text): \(error)"
        let isNews = trouble.withLock { trouble in
            defer { trouble = state }
            return trouble != state
        }
        if isNews { logger.warning("\(text)", metadata: ["error": "\(error)"]) }
    }
}
