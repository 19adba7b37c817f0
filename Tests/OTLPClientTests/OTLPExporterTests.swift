import Blocking
import CollectorKit
import CoreMetrics
import HTTP
import Logging
import OTLPClient
import Operations
import ServiceLifecycle
import TestKit
import Testing
import Tracing

@testable import Traces

/// Tests the export to a collector over a real connection.
@Suite struct OTLPExporterTests {
    private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private static func span(_ name: String) -> FinishedSpan {
        let context = TraceContext(traceID: .init(high: 1, low: 2), spanID: 3, isSampled: true)
        return FinishedSpan(
            context: context, parentID: nil, name: name, kind: .internal, start: 1, end: 2, attributes: [:],
            events: [], links: [], droppedLinks: 0, droppedEvents: 0, status: nil)
    }

    private static func exporter(
        _ endpoint: String, timeoutMs: Int = 600_000, certificatesFile: String? = nil
    ) -> OTLPExporter {
        var configuration = OTLPExporter.Configuration(endpoint: endpoint, userAgent: "millrace/1")
        configuration.timeoutMs = timeoutMs
        configuration.certificatesFile = certificatesFile
        configuration.headers = ["Authorization": "Bearer t"]
        return OTLPExporter(
            configuration, encoder: OTLPTraces(resource: [("service.name", "relay")], scopeVersion: "1"))
    }

    /// Exports to an endpoint while `body` runs, and then stops the export.
    private static func export(
        to endpoint: String, timeoutMs: Int = 600_000, _ change: (inout SpanExport.Limits) -> Void = { _ in },
        _ body: (SpanExport) async throws -> Void
    ) async throws {
        var limits = SpanExport.Limits()
        change(&limits)
        let export = SpanExport(to: exporter(endpoint, timeoutMs: timeoutMs), limits: limits, logger: quiet)
        let group = ServiceGroup(services: [export], logger: quiet)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            try await body(export)
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    @Test func spansArriveInBatchesWithTheirHeaders() async throws {
        try await TestCollector.run { collector in
            try await Self.export(to: collector.endpoint, { $0.batchSpans = 100 }) { export in
                for number in 0..<250 { export.add(Self.span("\(number)")) }
                try await eventually { collector.spans.count == 250 }
            }
            #expect(collector.spans.map(\.name) == (0..<250).map(String.init), "in order, and none twice")
            #expect(collector.spans.allSatisfy { $0.service == "relay" })
            #expect(collector.requests.count >= 3)
            for request in collector.requests {
                #expect(request.header("Content-Type") == "application/json")
                #expect(request.header("User-Agent") == "millrace/1")
                #expect(request.header("Authorization") == "Bearer t")
                #expect(request.header("traceparent") == nil, "an export does not belong to a trace")
            }
        }
    }

    /// A private certificate authority is not among the trusted authorities of the system.
    @Test func theCollectorsCertificateIsChecked() async throws {
        try await TestCertificate.with { certificate in
            let identity = try TLSIdentity(certificateFile: certificate.file, keyFile: certificate.key)
            try await TestCollector.run(tls: identity) { collector in
                let endpoint = "https://localhost:\(collector.port)/v1/traces"
                let stranger = Self.exporter(endpoint)
                await #expect(throws: TransientExportError.self) { try await stranger.export([Self.span("a")]) }
                await stranger.close()
                #expect(collector.requests.isEmpty)
                let known = Self.exporter(endpoint, certificatesFile: certificate.file)
                let rejection = try await known.export([Self.span("b")])
                await known.close()
                #expect(rejection == nil)
                #expect(collector.spans.map(\.name) == ["b"])
            }
            #expect(OTLPExporter.canRead(certificatesFile: certificate.file))
            #expect(!OTLPExporter.canRead(certificatesFile: certificate.key))
        }
    }

    @Test func aBatchThatIsRefusedForNowIsSentAgain() async throws {
        let busy: [TestCollector.Answer] = [
            .status(503), .status(429, headers: [("Retry-After", "0")]), .status(502), .status(504),
        ]
        try await TestCollector.run(busy + [.status(200)]) { collector in
            try await Self.export(to: collector.endpoint, { $0.giveUpAfter = .seconds(600) }) { export in
                export.add(Self.span("a"))
                try await eventually { collector.spans.count == 1 }
            }
            #expect(collector.requests.count == 5)
            #expect(Set(collector.requests.map(\.body)).count == 1, "each attempt sends the same batch")
        }
    }

    @Test func aStopSendsWhatIsLeft() async throws {
        try await TestCollector.run { collector in
            try await Self.export(to: collector.endpoint, { $0.stopTime = DeadlinePassed.limit }) { export in
                for number in 0..<700 { export.add(Self.span("\(number)")) }
            }
            #expect(collector.spans.count == 700)
        }
    }

    /// A stop ends the wait for the next attempt and makes this attempt immediately.
    @Test func aStopDoesNotWaitForAnotherAttempt() async throws {
        let later = TestCollector.Answer.status(503, headers: [("Retry-After", "500")])
        try await TestCollector.run([later, .status(200)]) { collector in
            let limits: (inout SpanExport.Limits) -> Void = {
                $0.giveUpAfter = .seconds(600)
                $0.stopTime = DeadlinePassed.limit
            }
            let start = ContinuousClock.now
            try await Self.export(to: collector.endpoint, limits) { export in
                export.add(Self.span("a"))
                try await eventually { collector.requests.count == 1 }
            }
            #expect(ContinuousClock.now - start < DeadlinePassed.limit)
            #expect(collector.spans.map(\.name) == ["a"])
        }
    }

    @Test func aCollectorThatDoesNotAnswerHoldsUpNoStop() async throws {
        try await TestCollector.run([.silence]) { collector in
            let start = ContinuousClock.now
            try await Self.export(to: collector.endpoint, { $0.stopTime = .milliseconds(10) }) { export in
                export.add(Self.span("a"))
                try await eventually { collector.requests.count == 1 }
            }
            #expect(ContinuousClock.now - start < DeadlinePassed.limit)
        }
    }

    @Test func anExportEndsWithinItsTimeout() async throws {
        try await TestCollector.run([.silence]) { collector in
            let exporter = Self.exporter(collector.endpoint, timeoutMs: 100)
            await #expect(throws: TransientExportError("the collector did not complete its answer within 100 ms")) {
                try await exporter.export([Self.span("a")])
            }
            await exporter.close()
        }
    }

    /// A process can set its metrics backend only once, so this test runs in its own process.
    @Test func whatACollectorRefusesIsDroppedAndCounted() async {
        await #expect(processExitsWith: .success) {
            let metrics = PrometheusMetrics(help: SpanExport.metricHelp)
            MetricsSystem.bootstrap(metrics)
            func counts(_ reason: String, _ count: Int) -> Bool {
                metrics.exposition().contains("millrace_spans_dropped_total{reason=\"\(reason)\"} \(count)\n")
            }
            let partly = #"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}}"#
            try await TestCollector.run([.status(400), .status(200, body: partly)]) { collector in
                try await OTLPExporterTests.export(to: collector.endpoint) { export in
                    for name in ["a", "b"] { export.add(OTLPExporterTests.span(name)) }
                    try await eventually { counts("export", 2) }
                    for name in ["c", "d", "e"] { export.add(OTLPExporterTests.span(name)) }
                    try await eventually { counts("export", 3) }
                    #expect(collector.requests.count == 2, "neither batch was sent again")
                    #expect(metrics.exposition().contains("millrace_spans_exported_total 2\n"))
                }
            }
        }
    }

    /// At first no collector listens; later one does.
    @Test func aCollectorThatIsAwayCostsOnlySpans() async {
        await #expect(processExitsWith: .success) {
            let metrics = PrometheusMetrics(help: SpanExport.metricHelp)
            MetricsSystem.bootstrap(metrics)
            func has(_ line: String) -> Bool { metrics.exposition().contains(line + "\n") }
            let port = try LoopbackPort.findFree()
            let limits: (inout SpanExport.Limits) -> Void = {
                $0.queuedSpans = 512
                $0.giveUpAfter = .zero
            }
            try await OTLPExporterTests.export(to: "http://127.0.0.1:\(port)/v1/traces", limits) { export in
                export.add(OTLPExporterTests.span("lost"))
                try await eventually { has(#"millrace_spans_dropped_total{reason="export"} 1"#) }
                try await TestCollector.run(port: port) { collector in
                    export.add(OTLPExporterTests.span("sent"))
                    try await eventually { collector.spans.map(\.name) == ["sent"] }
                    try await eventually { has("millrace_spans_exported_total 1") }
                }
            }
        }
    }

    /// While a batch waits for its next attempt, the queue fills, and adding a span never waits.
    @Test func theQueueIsTheLimitWhileNobodyListens() async {
        await #expect(processExitsWith: .success) {
            let metrics = PrometheusMetrics(help: SpanExport.metricHelp)
            MetricsSystem.bootstrap(metrics)
            let port = try LoopbackPort.findFree()
            let limits: (inout SpanExport.Limits) -> Void = {
                $0.queuedSpans = 600
                $0.giveUpAfter = .seconds(600)
            }
            try await OTLPExporterTests.export(to: "http://127.0.0.1:\(port)/v1/traces", limits) { export in
                for number in 0..<2_000 { export.add(OTLPExporterTests.span("\(number)")) }
                let text = metrics.exposition()
                // At most one batch left the queue.
                let dropped = (888...1_400).contains {
                    text.contains("millrace_spans_dropped_total{reason=\"queue_full\"} \($0)\n")
                }
                #expect(dropped, "\(text)")
            }
        }
    }
}
