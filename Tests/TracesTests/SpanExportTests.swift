import CoreMetrics
import Foundation
import Logging
import Operations
import ServiceLifecycle
import Synchronization
import TestKit
import Testing
import Tracing

@testable import Traces

@Suite struct SpanExportTests {
    /// Keeps what it is given, and fails or blocks as it is told to.
    private final class Exporter: SpanExporter {
        struct Full: Error, CustomStringConvertible { let description = "no space left" }

        private let kept = Mutex<[[String]]>([])
        let isFailing = Atomic(false)
        let gate: DispatchSemaphore?

        init(gate: DispatchSemaphore? = nil) {
            self.gate = gate
        }

        var batches: [[String]] { kept.withLock { $0 } }

        func export(_ spans: [FinishedSpan]) throws {
            gate?.wait()
            if isFailing.load(ordering: .relaxed) { throw Full() }
            kept.withLock { $0.append(spans.map(\.name)) }
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

    /// Without a stop: a batch goes when it is full, the rest by time.
    @Test func spansAreExportedBySizeAndByTime() async throws {
        let exporter = Exporter()
        let export = try SpanExport(to: exporter, capacity: 2_000, logger: Self.quiet)
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
        let export = try SpanExport(to: exporter, capacity: 2_000, logger: Self.quiet)
        let group = ServiceGroup(services: [export], logger: Self.quiet)
        for number in 0..<700 { export.add(Self.span("\(number)")) }
        await group.triggerGracefulShutdown()
        try await group.run()
        #expect(exporter.batches.map(\.count) == [512, 188])
    }

    /// A disk that hangs keeps neither the work nor the stop waiting.
    @Test func anExportThatHangsHoldsUpNobody() async throws {
        let gate = DispatchSemaphore(value: 0)
        defer { gate.signal() }
        let export = try SpanExport(to: Exporter(gate: gate), capacity: 1, logger: Self.quiet)
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

    /// Metrics can be given a backend only once in a process, so that this test has a process of its own.
    @Test func whatIsLostIsCountedAndToldOnce() async {
        await #expect(processExitsWith: .success) {
            let metrics = PrometheusMetrics(help: SpanExport.metricHelp)
            MetricsSystem.bootstrap(metrics)
            let (exporter, lines) = (Exporter(), Lines())
            let export = try SpanExport(to: exporter, capacity: 600, logger: lines.logger)
            for number in 0..<605 { export.add(SpanExportTests.span("\(number)")) }
            exporter.isFailing.store(true, ordering: .relaxed)
            export.exportAll()
            export.add(SpanExportTests.span("lost as well"))
            export.exportAll()
            exporter.isFailing.store(false, ordering: .relaxed)
            for _ in 0..<2 {
                export.add(SpanExportTests.span("good"))
                export.exportAll()
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
