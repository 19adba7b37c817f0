import CoreMetrics
import Foundation
import Logging
import Operations
import ServiceLifecycle
import StreamCore
import Synchronization
import TestKit
import Testing
import Tracing

@testable import Traces

@Suite struct SpanExportTests {
    /// Keeps the exported batches. It fails or hangs if a test says so.
    private final class Exporter: SpanExporter {
        struct Full: Error, CustomStringConvertible { let description = "no space left" }

        private struct State {
            var batches: [[String]] = []
            var isClosed = false
            var error: (any Error)?
            var hanging: [CheckedContinuation<Void, Never>] = []
        }

        private let state = Mutex(State())
        private let hangs: Bool

        init(hangs: Bool = false) {
            self.hangs = hangs
        }

        var batches: [[String]] { state.withLock(\.batches) }
        var isClosed: Bool { state.withLock(\.isClosed) }

        func fail(with error: (any Error)?) { state.withLock { $0.error = error } }

        func export(_ spans: [FinishedSpan]) async throws -> SpanRejection? {
            if hangs { await withCheckedContinuation { hanging in state.withLock { $0.hanging.append(hanging) } } }
            try state.withLock { state in
                if let error = state.error { throw error }
                state.batches.append(spans.map(\.name))
            }
            return nil
        }

        func close() async { state.withLock { $0.isClosed = true } }

        /// Ends all hanging calls.
        func end() {
            let hanging = state.withLock { state in
                defer { state.hanging = [] }
                return state.hanging
            }
            for continuation in hanging { continuation.resume() }
        }
    }

    private final class Lines: Sendable {
        private let kept = Mutex<[String]>([])
        var all: [String] { kept.withLock { $0 } }
        var logger: Logger { Logger(label: "test") { _ in Handler(lines: self) } }

        private struct Handler: LogHandler {
            let lines: Lines
            var metadata: Logger.Metadata = [:]
            var logLevel = Logger.Level.info

            subscript(metadataKey key: String) -> Logger.Metadata.Value? {
                get { metadata[key] }
                set { metadata[key] = newValue }
            }

            func log(event: LogEvent) {
                let error = event.metadata?["error"].map { " \($0)" } ?? ""
                lines.kept.withLock { $0.append("\(event.level) \(event.message)\(error)") }
            }
        }
    }

    private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private static func limits(_ queuedSpans: Int) -> SpanExport.Limits {
        var limits = SpanExport.Limits()
        limits.queuedSpans = queuedSpans
        return limits
    }

    private static func span(_ name: String) -> FinishedSpan {
        let context = TraceContext(traceID: .init(high: 1, low: 2), spanID: 3, isSampled: true)
        return FinishedSpan(
            context: context, parentID: nil, name: name, kind: .internal, start: 1, end: 2, attributes: [:],
            events: [], links: [], droppedLinks: 0, droppedEvents: 0, status: nil)
    }

    @Test func aQueueHasALimitAndGivesBatches() {
        var queue = SpanQueue(capacity: 5, batchSize: 2)
        let answers = (0..<7).map { queue.append(Self.span("\($0)")) }
        #expect(answers == [.queued, .batchIsFull, .queued, .batchIsFull, .queued, .dropped, .dropped])
        var taken: [[String]] = []
        while queue.count > 0 { taken.append(queue.takeBatch().map(\.name)) }
        #expect(taken == [["0", "1"], ["2", "3"], ["4"]])
        #expect(queue.takeBatch().isEmpty && queue.append(Self.span("7")) == .queued)
    }

    /// Without a stop, a batch is exported when it is full. The remaining spans are exported after the interval.
    @Test func spansAreExportedBySizeAndByTime() async throws {
        let exporter = Exporter()
        let export = SpanExport(to: exporter, limits: Self.limits(2_000), logger: Self.quiet)
        let group = ServiceGroup(services: [export], logger: Self.quiet)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            for number in 0..<520 { export.add(Self.span("\(number)")) }
            try await eventually { exporter.batches.joined().count == 520 }
            #expect(exporter.batches.allSatisfy { $0.count <= 512 })
            #expect(exporter.batches.joined().elementsEqual((0..<520).map(String.init)))
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    @Test func aStopExportsWhatIsLeft() async throws {
        let exporter = Exporter()
        let export = SpanExport(to: exporter, limits: Self.limits(2_000), logger: Self.quiet)
        let group = ServiceGroup(services: [export], logger: Self.quiet)
        for number in 0..<700 { export.add(Self.span("\(number)")) }
        await group.triggerGracefulShutdown()
        try await group.run()
        #expect(exporter.batches.map(\.count) == [512, 188])
        #expect(exporter.isClosed)
    }

    /// An export that hangs delays neither the program's work nor its stop.
    @Test func anExportThatHangsHoldsUpNobody() async throws {
        let exporter = Exporter(hangs: true)
        defer { exporter.end() }
        let export = SpanExport(to: exporter, limits: Self.limits(1), logger: Self.quiet)
        let group = ServiceGroup(services: [export], logger: Self.quiet)
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            for number in 0..<10_000 { export.add(Self.span("\(number)")) }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
        #expect(ContinuousClock.now - start < DeadlinePassed.limit)
    }

    @Test func attemptsComeLaterAndLaterUntilTheLimit() {
        var random = SplitMix64(seed: 1)
        var retry = ExportRetry(limit: .seconds(60))
        let error = TransientExportError("busy")
        for ceiling in [0.5, 1, 2, 4, 8, 10, 10] {
            let delay = retry.delay(after: error, elapsed: .seconds(10), using: &random)
            #expect((Duration.seconds(ceiling / 2)...(.seconds(ceiling))).contains(delay ?? .zero), "\(ceiling)")
        }
        func next(_ retryAfter: Duration?, elapsed: Duration) -> Duration? {
            retry.delay(
                after: TransientExportError("busy", retryAfter: retryAfter), elapsed: elapsed, using: &random)
        }
        #expect(next(.seconds(30), elapsed: .seconds(20)) == .seconds(30), "the collector asked for this delay")
        #expect(next(.seconds(90), elapsed: .seconds(20)) == .seconds(40), "the delay must not exceed the limit")
        #expect(next(nil, elapsed: .milliseconds(59_999)) == .milliseconds(1))
        #expect(next(.zero, elapsed: .seconds(60)) == nil)
        var once = ExportRetry(limit: .zero)
        #expect(once.delay(after: error, elapsed: .zero, using: &random) == nil)
    }

    /// A process can set its metrics backend only once. Therefore this test runs in a separate process.
    @Test func whatIsLostIsCountedAndToldOnce() async {
        await #expect(processExitsWith: .success) {
            let metrics = PrometheusMetrics(help: SpanExport.metricHelp)
            MetricsSystem.bootstrap(metrics)
            let (exporter, lines) = (Exporter(), Lines())
            let export = SpanExport(
                to: exporter, limits: SpanExportTests.limits(600), logger: lines.logger)
            for number in 0..<605 { export.add(SpanExportTests.span("\(number)")) }
            exporter.fail(with: Exporter.Full())
            await export.exportAll()
            export.add(SpanExportTests.span("lost as well"))
            await export.exportAll()
            exporter.fail(with: nil)
            for _ in 0..<2 {
                export.add(SpanExportTests.span("good"))
                await export.exportAll()
            }
            let text = metrics.exposition()
            for line in [
                #"millrace_spans_dropped_total{reason="queue_full"} 5"#,
                #"millrace_spans_dropped_total{reason="export"} 601"#, "millrace_spans_exported_total 2",
            ] { #expect(text.contains(line + "\n"), "\(text)") }
            #expect(
                lines.all == [
                    "warning spans cannot be exported and are dropped; millrace_spans_dropped_total counts them "
                        + "no space left",
                    "notice spans are exported again",
                ])
        }
    }
}
